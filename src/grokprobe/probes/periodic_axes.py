"""Which weights of a subject run along the elements of a cyclic group."""

from collections.abc import Mapping
from dataclasses import dataclass

from grokprobe.interfaces import PeriodicAxis, Subject
from grokprobe.numerics.periodicity import find_periodic_axes


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicSelection:
    """The periodic axes to analyse, in the order of the file's parameters."""

    #: One axis a parameter; empty if none applies.
    axes: tuple[PeriodicAxis, ...] = ()
    #: Tensors left out, and why.
    notices: tuple[str, ...] = ()
    #: Why there is none; empty if there are some.
    reason: str = ""


def select_periodic_axes(subject: Subject, period: int | None, explicit: Mapping[str, int]) -> PeriodicSelection:
    """Selects the periodic axes of a subject.

    An axis named in ``explicit`` comes first. Every other tensor follows the subject's task where the task recognises
    its own network, else its shape: the one axis of length period or 2 · period of a tensor with at least two axes.
    A tensor with several such axes, or one that is constant along the run, is left out with a notice.

    Args:
        subject: what is known about the run.
        period: number of group elements; None for that of the subject's task.
        explicit: parameter name → axis, counted from the end if negative.
    """
    if period is None:
        period = subject.task.period if subject.task else None
    if period is None:
        return PeriodicSelection(reason="no task says which axes are periodic; give --task, or --set fourier.period=P")
    faults = [fault for name, axis in explicit.items() if (fault := _explicit_fault(subject, name, axis, period))]
    if faults:
        return PeriodicSelection(reason="; ".join(faults))
    known = {name: axis % len(subject.shapes[name]) for name, axis in explicit.items()}
    own = _task_axes(subject, period)
    found, notices = (own, ()) if own else _shape_axes(subject, period, known)
    chosen = {**found, **known}
    axes = tuple(
        PeriodicAxis(parameter=name, axis=chosen[name], period=period) for name in subject.shapes if name in chosen
    )
    reason = "" if axes else "; ".join([f"no weight has exactly one axis of length {period} or {2 * period}", *notices])
    return PeriodicSelection(axes=axes, notices=notices if axes else (), reason=reason)


def _explicit_fault(subject: Subject, name: str, axis: int, period: int) -> str:
    if name not in subject.shapes:
        return f"fourier.axes.{name}: no such tensor; there are {', '.join(subject.shapes) or 'none'}"
    shape = subject.shapes[name]
    if not -len(shape) <= axis < len(shape):
        return f"fourier.axes.{name}: expected an axis of {shape}, found {axis}"
    if shape[axis] not in (period, 2 * period):
        return f"fourier.axes.{name}: expected an axis of length {period} or {2 * period}, found {shape[axis]}"
    return ""


def _task_axes(subject: Subject, period: int) -> dict[str, int]:
    if subject.task is None or subject.task.period != period:  # another period is another question than the task's
        return {}
    return {axis.parameter: axis.axis for axis in subject.task.periodic_axes(subject.shapes)}


def _shape_axes(subject: Subject, period: int, known: Mapping[str, int]) -> tuple[dict[str, int], tuple[str, ...]]:
    found: dict[str, int] = {}
    notices: list[str] = []
    for name, shape in subject.shapes.items():
        candidates = find_periodic_axes(shape, period)
        if name in known or len(shape) < 2 or not candidates:
            continue
        why = _why_left_out(name in subject.constant, [shape[axis] for axis in candidates])
        if why:
            notices.append(f"{name} is left out: {why}; --set fourier.axes.{name}=AXIS includes it")
        else:
            found[name] = candidates[0]
    return found, tuple(notices)


def _why_left_out(is_constant: bool, lengths: list[int]) -> str:
    if is_constant:
        return "constant along the run, so not a weight"
    if len(lengths) > 1:
        count = "two" if len(lengths) == 2 else str(len(lengths))
        return f"{count} axes of length {' and '.join(map(str, sorted(set(lengths))))}"
    return ""
