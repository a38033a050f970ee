"""The built-in probes."""

from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Probe
from grokprobe.probes.activations import ActivationsProbe
from grokprobe.probes.fisher import FisherProbe
from grokprobe.probes.fourier import FourierProbe
from grokprobe.probes.hessian import HessianProbe
from grokprobe.probes.linearity import LinearityProbe
from grokprobe.probes.similarity import SimilarityProbe
from grokprobe.probes.similarity_to_final import SimilarityToFinalProbe
from grokprobe.probes.similarity_to_run import SimilarityToRunProbe
from grokprobe.probes.steps import StepsProbe
from grokprobe.probes.weights import WeightsProbe


@hookimpl
def grokprobe_probes() -> tuple[Probe, ...]:
    """Returns the built-in probes."""
    return (
        ActivationsProbe(),
        FisherProbe(),
        FourierProbe(),
        HessianProbe(),
        LinearityProbe(),
        SimilarityProbe(),
        SimilarityToFinalProbe(),
        SimilarityToRunProbe(),
        StepsProbe(),
        WeightsProbe(),
    )
