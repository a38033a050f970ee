"""A plugin to copy: it provides the probe ``kurtosis``."""

from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Probe
from grokprobe_template.kurtosis import KurtosisProbe

__all__ = ["KurtosisProbe", "grokprobe_probes"]


@hookimpl
def grokprobe_probes() -> tuple[Probe, ...]:
    """Returns the probes of this plugin."""
    return (KurtosisProbe(),)
