"""The conformance kit: checks a Task, Probe, Compressor, GeometryMetric or figure against the laws of its Protocol.

For the tests of a plugin::

    from grokprobe.testing import FixedContext, check_probe

    def test_my_probe_conforms():
        check_probe(MyProbe(), FixedContext(parameters={"layer.weight": torch.randn(8, 5)}))

A broken law raises :class:`ConformanceError` with the law and what was found.
"""

from grokprobe.testing.compressors import check_compressor
from grokprobe.testing.conformance import ConformanceError
from grokprobe.testing.context import FixedContext
from grokprobe.testing.figures import check_figure, make_group
from grokprobe.testing.metrics import check_metric
from grokprobe.testing.probes import check_probe
from grokprobe.testing.readers import check_reader
from grokprobe.testing.tasks import check_task

__all__ = [
    "ConformanceError",
    "FixedContext",
    "check_compressor",
    "check_figure",
    "check_metric",
    "check_probe",
    "check_reader",
    "check_task",
    "make_group",
]
