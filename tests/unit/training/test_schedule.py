"""Schedules say exactly which epochs, and refuse the rest in one line."""

import pytest

from grokprobe.errors import UsageError
from grokprobe.training.schedule import resolve_schedule, split_dense

CASES = (
    ([], 5, (0, 5)),
    (["0"], 0, (0,)),
    (["3"], 5, (0, 3, 5)),
    (["1,2, 4"], 9, (0, 1, 2, 4, 9)),
    (["every 10"], 35, (0, 10, 20, 30, 35)),
    (["every 1 until 3"], 5, (0, 1, 2, 3, 5)),
    (["every 1 until 100"], 2, (0, 1, 2)),
    (["every 10 from 15 until 40"], 50, (0, 15, 25, 35, 50)),
    (["every 10 from 100"], 50, (0, 50)),
    (["every 1 until 3", "every 5"], 11, (0, 1, 2, 3, 5, 10, 11)),
    (["log 3"], 100, (0, 1, 10, 100)),
    (["log 50"], 4, (0, 1, 2, 3, 4)),
    (["log 5"], 0, (0,)),
)

FAULTS = (
    ("every", "expected one of"),
    ("evry 3", "'evry 3'"),
    ("-1", "expected one of"),
    ("1.5", "expected one of"),
    ("", "expected one of"),
    ("every 0", "step of at least 1, found 0"),
    ("every 2 from 5 until 4", "not before its start 5, found 4"),
    ("log 0", "count of at least 1, found 0"),
    ("11", "from 0 to 10, the last one, found 11"),
    ("1,99", "found 99"),
)


@pytest.mark.parametrize(("entries", "epochs", "expected"), CASES)
def test_resolves(entries: list[str], epochs: int, expected: tuple[int, ...]) -> None:
    assert resolve_schedule(entries, epochs) == expected


@pytest.mark.parametrize(("entry", "message"), FAULTS)
def test_refuses(entry: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        resolve_schedule(["0", entry], 10)
    assert "\n" not in str(caught.value)


def test_dense_entries_are_told_from_epochs() -> None:
    assert split_dense(["0", "dense 0.1", "every 5", " dense .02 "]) == (("0", "every 5"), 0.02)
    assert split_dense(["every 5"]) == (("every 5",), None)


@pytest.mark.parametrize("entry", ["dense 0", "dense 1.5"])
def test_a_dense_step_is_an_accuracy(entry: str) -> None:
    with pytest.raises(UsageError, match="expected a step of accuracy above 0 and at most 1"):
        split_dense([entry])


@pytest.mark.parametrize("entry", ["dense", "dense -1", "dense 2 x"])
def test_other_dense_entries_are_no_entries(entry: str) -> None:
    with pytest.raises(UsageError, match="expected one of"):
        resolve_schedule(split_dense([entry])[0], 10)
