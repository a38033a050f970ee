"""Schedules: at which epochs to write a checkpoint or a row of the history.

A schedule is a union of entries:

    "17" or "1,2,5,10"                   these epochs
    "every 10"                           0, 10, 20, … up to the last epoch
    "every 1 until 100"                  0, 1, …, 100
    "every 10 from 100 until 500"        100, 110, …, 500
    "log 50"                             50 epochs from 1 to the last one, evenly spaced in the logarithm and rounded

Checkpoints may also follow the run itself:

    "dense 0.02"                         epochs of the history at which the test accuracy differs by at least 0.02 from
                                         that of the last checkpoint: many around a transition, none on a plateau
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from grokprobe.errors import UsageError

FORMS: Final = (
    '"17", "1,2,5", "every 10", "every 1 until 100", "every 10 from 100 until 500", "log 50" or, for checkpoints,'
    ' "dense 0.02"'
)
DENSE_PATTERN: Final = re.compile(r"dense\s+(?P<step>\d*\.?\d+)")
LIST_PATTERN: Final = re.compile(r"\d+(\s*,\s*\d+)*")
EVERY_PATTERN: Final = re.compile(r"every\s+(?P<step>\d+)(\s+from\s+(?P<start>\d+))?(\s+until\s+(?P<stop>\d+))?")
LOG_PATTERN: Final = re.compile(r"log\s+(?P<num>\d+)")


def resolve_schedule(entries: Iterable[str], epochs: int) -> tuple[int, ...]:
    """Returns the increasing epochs of the union of ``entries`` in a run of ``epochs`` epochs.

    Epoch 0, the true initial parameters, and the last epoch are always in it, asked for or not: without them there is
    no path to measure. Ranges end at the last epoch, so that one schedule serves runs of any length. An epoch that is
    named by its number must exist.

    Args:
        entries: the schedule, in the forms that the module lists.
        epochs: number of epochs of the run, at least 0.

    Raises:
        UsageError: an entry has none of the forms, a step or count of 0, a range that ends before it starts, or names
            an epoch beyond the last.

    Example:
        >>> assert resolve_schedule(["1,2", "every 5"], 12) == (0, 1, 2, 5, 10, 12)
    """
    resolved = {0, epochs}
    for entry in entries:
        resolved.update(_resolve_entry(entry, epochs))
    return tuple(sorted(resolved))


def split_dense(entries: Iterable[str]) -> tuple[tuple[str, ...], float | None]:
    """Returns the entries that name epochs, and the smallest step of test accuracy of those that follow the run.

    Raises:
        UsageError: a step that is not between 0 and 1.

    Example:
        >>> assert split_dense(["every 10", "dense 0.05", "dense 0.1"]) == (("every 10",), 0.05)
    """
    fixed, steps = [], []
    for entry in entries:
        match = DENSE_PATTERN.fullmatch(entry.strip())
        if match is None:
            fixed.append(entry)
            continue
        steps.append(float(match["step"]))
        if not 0 < steps[-1] <= 1:
            raise UsageError(f"schedule entry {entry!r}: expected a step of accuracy above 0 and at most 1")
    return tuple(fixed), min(steps, default=None)


def _resolve_entry(entry: str, epochs: int) -> Iterable[int]:
    text = entry.strip()
    if LIST_PATTERN.fullmatch(text):
        return _resolve_list(text, epochs)
    if match := EVERY_PATTERN.fullmatch(text):
        return _resolve_range(entry, match, epochs)
    if match := LOG_PATTERN.fullmatch(text):
        return _resolve_log(entry, int(match["num"]), epochs)
    raise UsageError(f"schedule entry {entry!r}: expected one of {FORMS}")


def _resolve_list(text: str, epochs: int) -> Iterator[int]:
    for epoch in map(int, text.split(",")):
        if epoch > epochs:
            raise UsageError(
                f"schedule entry {text!r}: expected epochs from 0 to {epochs}, the last one, found {epoch}"
            )
        yield epoch


def _resolve_range(entry: str, match: re.Match[str], epochs: int) -> range:
    step, start, stop = int(match["step"]), int(match["start"] or 0), int(match["stop"] or epochs)
    if step == 0:
        raise UsageError(f"schedule entry {entry!r}: expected a step of at least 1, found 0")
    if match["stop"] and stop < start:
        raise UsageError(f"schedule entry {entry!r}: expected an end not before its start {start}, found {stop}")
    return range(start, min(stop, epochs) + 1, step)


def _resolve_log(entry: str, num: int, epochs: int) -> Iterable[int]:
    if num == 0:
        raise UsageError(f"schedule entry {entry!r}: expected a count of at least 1, found 0")
    if epochs == 0:
        return ()
    return np.rint(np.geomspace(1, epochs, num)).astype(int).tolist()
