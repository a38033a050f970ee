"""Which tensors of a subject are weights."""

from dataclasses import dataclass

from grokprobe.interfaces import Subject
from grokprobe.numerics.layers import RUNNING_STATISTICS


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSelection:
    """The tensors to measure, in the order of the file."""

    #: Names of the tensors; empty if there is none.
    parameters: tuple[str, ...]
    #: Tensors left out, and why.
    notices: tuple[str, ...]
    #: Why there is none; empty if there are some.
    reason: str


def select_weights(subject: Subject, *, biases: bool = False) -> WeightSelection:
    """Selects the floating-point tensors with at least two axes that change along the run.

    A tensor that is the same in every checkpoint is a buffer and not a weight, and so are the running statistics of a
    normalisation; they are left out with a notice.

    Args:
        subject: what is known about the run.
        biases: whether vectors count too: biases, and the scales of normalisations.
    """
    least = 1 if biases else 2
    candidates = [name for name, shape in subject.shapes.items() if len(shape) >= least]
    notices = tuple(
        f"{name} is left out: {_why(name)}, so not a weight" for name in candidates if name in subject.constant
    )
    parameters = tuple(name for name in candidates if name not in subject.constant)
    missing = "no parameter has an axis" if biases else "no weight has two or more axes"
    reason = "" if parameters else "; ".join([missing, *notices])
    return WeightSelection(parameters=parameters, notices=notices if parameters else (), reason=reason)


def _why(name: str) -> str:
    is_statistic = name.rpartition(".")[2] in RUNNING_STATISTICS
    return "a running statistic" if is_statistic else "constant along the run"
