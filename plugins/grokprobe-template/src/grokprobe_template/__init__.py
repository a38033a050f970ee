"""A plugin to copy: it provides the probe ``kurtosis`` and the figure ``tails``."""

from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Probe, ResultsFigure
from grokprobe_template.kurtosis import KurtosisProbe
from grokprobe_template.tails import TailsFigure

__all__ = ["KurtosisProbe", "TailsFigure", "grokprobe_figures", "grokprobe_probes"]


@hookimpl
def grokprobe_probes() -> tuple[Probe, ...]:
    """Returns the probes of this plugin."""
    return (KurtosisProbe(),)


@hookimpl
def grokprobe_figures() -> tuple[ResultsFigure, ...]:
    """Returns the figures of this plugin."""
    return (TailsFigure(),)
