"""The built-in metrics, and what the core makes of any metric."""

from grokprobe.geometry.euclidean import EuclideanMetric
from grokprobe.geometry.fisher import FisherMetric
from grokprobe.geometry.fisher_diag import FisherDiagMetric
from grokprobe.geometry.fisher_diag_regression import FisherDiagRegressionMetric
from grokprobe.geometry.fisher_empirical import FisherEmpiricalMetric
from grokprobe.geometry.fisher_mc import FisherMonteCarloMetric
from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import GeometryMetric


@hookimpl
def grokprobe_metrics() -> tuple[GeometryMetric, ...]:
    """Returns the built-in metrics."""
    return (
        EuclideanMetric(),
        FisherMetric(),
        FisherDiagMetric(),
        FisherDiagRegressionMetric(),
        FisherEmpiricalMetric(),
        FisherMonteCarloMetric(),
    )
