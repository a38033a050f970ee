"""What a plugin may provide, and the values it exchanges with the core.

The Protocols are total: every member is required, and its docstring is its law. :mod:`grokprobe.testing` checks an
implementation against them.
"""

from grokprobe.checkpoints.plugin_readers import CheckpointReader
from grokprobe.interfaces.context import Context, Parameters, RunCoordinates, Subject
from grokprobe.interfaces.figures import ResultsFigure
from grokprobe.interfaces.measures import Compressor, GeometryMetric, Measure, Probe
from grokprobe.interfaces.stacked import Stacked, StackedForm
from grokprobe.interfaces.task import Likelihood, PeriodicAxis, Task
from grokprobe.requirements import Applicability, Requirement
from grokprobe.samples import Evaluation, Samples, Split
from grokprobe.variables import Measurement, VariableSpec

__all__ = [
    "Applicability",
    "CheckpointReader",
    "Compressor",
    "Context",
    "Evaluation",
    "GeometryMetric",
    "Likelihood",
    "Measure",
    "Measurement",
    "Parameters",
    "PeriodicAxis",
    "Probe",
    "Requirement",
    "ResultsFigure",
    "RunCoordinates",
    "Samples",
    "Split",
    "Stacked",
    "StackedForm",
    "Subject",
    "Task",
    "VariableSpec",
]
