"""The built-in probes."""

from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Probe
from grokprobe.probes.fourier import FourierProbe
from grokprobe.probes.weights import WeightsProbe


@hookimpl
def grokprobe_probes() -> tuple[Probe, ...]:
    """Returns the built-in probes."""
    return (FourierProbe(), WeightsProbe())
