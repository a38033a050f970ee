"""Which metrics have a diagonal approximation that is a metric of its own."""

from collections.abc import Mapping
from typing import Final

from grokprobe.geometry.fisher import FisherMetric
from grokprobe.geometry.fisher_diag import FisherDiagMetric
from grokprobe.interfaces import GeometryMetric

#: Metric → its diagonal approximation, which has the same options.
DIAGONALS: Final[Mapping[type, GeometryMetric]] = {FisherMetric: FisherDiagMetric()}


def find_diagonal(metric: GeometryMetric) -> GeometryMetric | None:
    """Returns the metric of the diagonal of ``metric``; None where there is none, or it is diagonal itself."""
    return DIAGONALS.get(type(metric))
