"""The local learning coefficient: it provides the probe ``llc``."""

from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Probe
from grokprobe_llc.options import LlcOptions
from grokprobe_llc.probe import LlcProbe

__all__ = ["LlcOptions", "LlcProbe", "grokprobe_probes"]


@hookimpl
def grokprobe_probes() -> tuple[Probe, ...]:
    """Returns the probes of this plugin."""
    return (LlcProbe(),)
