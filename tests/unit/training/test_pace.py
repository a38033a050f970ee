"""States are due by elapsed time."""

from grokprobe.training.pace import ResumePace


def test_a_state_is_due_after_so_many_seconds() -> None:
    now = [100.0]
    pace = ResumePace(30.0, lambda: now[0])
    due = []
    for moment in (100, 129, 130, 131, 159, 161, 190, 191):
        now[0] = moment
        due.append(pace.is_due())
    assert due == [False, False, True, False, False, True, False, True]


def test_no_seconds_are_always_over() -> None:
    pace = ResumePace(0.0, lambda: 5.0)
    assert pace.is_due()
    assert pace.is_due()
