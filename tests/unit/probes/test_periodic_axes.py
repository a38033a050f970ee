from dataclasses import dataclass

import pytest

from grokprobe.interfaces import PeriodicAxis, Subject
from grokprobe.probes.fourier import FourierOptions, FourierProbe
from grokprobe.probes.periodic_axes import select_periodic_axes

SHAPES = {"W_in": (512, 23), "basis": (23, 23), "W_out": (23, 512), "bias": (23,), "head": (10, 512)}


@dataclass
class KnownTask:
    """As much of a Task as the selection asks for."""

    period: int | None = 23
    axes: tuple[PeriodicAxis, ...] = ()

    def periodic_axes(self, shapes):
        return self.axes


def subject_of(shapes=SHAPES, constant=frozenset(), task=None):
    return Subject(task=task, shapes=shapes, constant=frozenset(constant), available=frozenset())


def chosen(selection):
    return {axis.parameter: axis.axis for axis in selection.axes}


def test_without_task_and_period_it_does_not_apply():
    expected = "no task says which axes are periodic; give --task, or --set fourier.period=P"
    for task in (None, KnownTask(period=None)):
        assert select_periodic_axes(subject_of(task=task), None, {}).reason == expected
    assert FourierProbe().applies(subject_of(), FourierOptions()).reason == expected


def test_finds_tensors_with_one_axis_of_the_period_and_says_what_it_leaves_out():
    selection = select_periodic_axes(subject_of(), 23, {})
    assert chosen(selection) == {"W_in": 1, "W_out": 0}
    assert selection.notices == ("basis is left out: two axes of length 23; --set fourier.axes.basis=AXIS includes it",)
    assert FourierProbe().applies(subject_of(), FourierOptions(period=23)).notices == selection.notices


def test_two_axes_of_one_and_two_periods_are_ambiguous_too():
    (notice,) = select_periodic_axes(subject_of({"W": (23, 46), "V": (23, 9)}), 23, {}).notices
    assert notice.startswith("W is left out: two axes of length 23 and 46;")


def test_constant_tensor_is_left_out():
    selection = select_periodic_axes(subject_of(constant={"basis", "W_in"}), 23, {})
    assert chosen(selection) == {"W_out": 0}
    assert selection.notices[0].startswith("W_in is left out: constant along the run, so not a weight;")
    assert len(selection.notices) == 2


def test_task_that_knows_its_network_decides():
    task = KnownTask(axes=(PeriodicAxis(parameter="basis", axis=1, period=23),))
    selection = select_periodic_axes(subject_of(task=task), None, {})
    assert chosen(selection) == {"basis": 1}
    assert selection.notices == ()


def test_task_that_does_not_know_the_network_gives_its_period():
    assert chosen(select_periodic_axes(subject_of(task=KnownTask()), None, {})) == {"W_in": 1, "W_out": 0}


def test_another_period_overrides_the_task():
    task = KnownTask(axes=(PeriodicAxis(parameter="W_in", axis=1, period=23),))
    assert chosen(select_periodic_axes(subject_of(task=task), 10, {})) == {"head": 0}


def test_explicit_axes_come_beside_the_found_ones_in_the_order_of_the_file():
    selection = select_periodic_axes(subject_of(constant={"basis"}), 23, {"bias": -1, "basis": 0})
    assert [(axis.parameter, axis.axis) for axis in selection.axes] == [
        ("W_in", 1),
        ("basis", 0),
        ("W_out", 0),
        ("bias", 0),
    ]
    assert selection.notices == ()


def test_no_axis_of_the_period_is_a_reason():
    selection = select_periodic_axes(subject_of({"basis": (7, 7), "W": (3, 4)}), 7, {})
    assert selection.axes == ()
    assert selection.reason == (
        "no weight has exactly one axis of length 7 or 14; basis is left out: two axes of length 7;"
        " --set fourier.axes.basis=AXIS includes it"
    )


@pytest.mark.parametrize(
    ("explicit", "found"),
    [
        ({"nope": 0}, "fourier.axes.nope: no such tensor; there are W_in, basis, W_out, bias, head"),
        ({"W_in": 2}, "fourier.axes.W_in: expected an axis of (512, 23), found 2"),
        ({"W_in": 0}, "fourier.axes.W_in: expected an axis of length 23 or 46, found 512"),
    ],
)
def test_wrong_explicit_axis_is_a_reason(explicit, found):
    assert select_periodic_axes(subject_of(), 23, explicit).reason == found
