"""The hooks a plugin may implement. Each returns a tuple; none does work."""

from collections.abc import Iterable

import pluggy

from grokprobe.interfaces import CheckpointReader, Compressor, GeometryMetric, Probe, ResultsFigure, Task

hookspec = pluggy.HookspecMarker("grokprobe")
hookimpl = pluggy.HookimplMarker("grokprobe")


@hookspec
def grokprobe_tasks() -> Iterable[type[Task]]:  # pyright: ignore[reportReturnType] - a hook specification has no body
    """Returns the Task classes of this plugin."""


@hookspec
def grokprobe_probes() -> Iterable[Probe]:  # pyright: ignore[reportReturnType] - a hook specification has no body
    """Returns the Probe instances of this plugin."""


@hookspec
def grokprobe_compressors() -> Iterable[Compressor]:  # pyright: ignore[reportReturnType] - no body
    """Returns the Compressor instances of this plugin."""


@hookspec
def grokprobe_metrics() -> Iterable[GeometryMetric]:  # pyright: ignore[reportReturnType] - no body
    """Returns the GeometryMetric instances of this plugin."""


@hookspec
def grokprobe_figures() -> Iterable[ResultsFigure]:  # pyright: ignore[reportReturnType] - no body
    """Returns the ResultsFigure instances of this plugin."""


@hookspec
def grokprobe_readers() -> Iterable[CheckpointReader]:  # pyright: ignore[reportReturnType] - no body
    """Returns the CheckpointReader instances of this plugin."""
