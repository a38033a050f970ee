"""The four things a plugin may provide, and the values they exchange with the core.

The Protocols are total: every member is required, and its docstring is its law. :mod:`grokprobe.testing` checks an
implementation against them.
"""

from grokprobe.interfaces.context import Context, Parameters, RunCoordinates, Subject
from grokprobe.interfaces.measures import Compressor, GeometryMetric, Measure, Probe
from grokprobe.interfaces.stacked import Stacked, StackedForm
from grokprobe.interfaces.task import Likelihood, PeriodicAxis, Task
from grokprobe.requirements import Applicability, Requirement
from grokprobe.samples import Evaluation, Samples, Split
from grokprobe.variables import Measurement, VariableSpec

__all__ = [
    "Applicability",
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
    "RunCoordinates",
    "Samples",
    "Split",
    "Stacked",
    "StackedForm",
    "Subject",
    "Task",
    "VariableSpec",
]
