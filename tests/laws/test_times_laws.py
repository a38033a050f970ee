"""Laws of the definitions of when a run has learned."""

import math

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grokprobe.derive.times import (
    compute_arrival,
    compute_plateau_end,
    compute_settling,
    compute_steepest_rise,
    smooth,
)

LAW = settings(deadline=None, max_examples=60)
ACCURACIES = st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), min_size=1, max_size=30).map(np.array)
CHANCES = st.sampled_from([0.0, 0.01, 0.1, 0.5])
DEFINITIONS = (compute_arrival, compute_settling, compute_steepest_rise, compute_plateau_end)


def settling_by_switch(accuracies: np.ndarray, chance: float) -> float:
    """A switch: on at 0.95 of the maximum, off below 0.9 of it; returns when it was last turned on, if it is on."""
    known = [(epoch, accuracy) for epoch, accuracy in enumerate(accuracies.tolist()) if not math.isnan(accuracy)]
    highest = max((accuracy for _, accuracy in known), default=-math.inf)
    if highest < chance + 0.5 * (1 - chance):
        return math.nan
    turned_on = math.nan
    for epoch, accuracy in known:
        if math.isnan(turned_on) and accuracy >= 0.95 * highest:
            turned_on = float(epoch)
        if accuracy < 0.9 * highest:
            turned_on = math.nan
    return turned_on


@LAW
@given(accuracies=ACCURACIES, chance=CHANCES)
def test_settling_is_when_a_switch_is_last_turned_on(accuracies: np.ndarray, chance: float) -> None:
    found = compute_settling(np.arange(len(accuracies)), accuracies, chance)
    np.testing.assert_equal(found, settling_by_switch(accuracies, chance))


@LAW
@given(accuracies=ACCURACIES, chance=CHANCES)
def test_thresholds_are_reached_in_their_order(accuracies: np.ndarray, chance: float) -> None:
    epochs = np.arange(len(accuracies))
    times = [compute_arrival(epochs, accuracies, chance, fraction) for fraction in (0.5, 0.9, 0.95, 1.0)]
    assert np.isnan(times).all() or (np.diff(times) >= 0).all()
    settling = compute_settling(epochs, accuracies, chance)
    assert math.isnan(settling) or settling >= times[2]


@LAW
@given(accuracies=st.lists(st.floats(0, 1), min_size=1, max_size=30).map(sorted).map(np.array), chance=CHANCES)
def test_curves_that_never_fall_agree_on_the_order_of_all_definitions(accuracies: np.ndarray, chance: float) -> None:
    assume(accuracies.max() >= chance + 0.5 * (1 - chance))
    epochs = np.arange(len(accuracies))
    arrival = compute_arrival(epochs, accuracies, chance)
    assert compute_settling(epochs, accuracies, chance) == arrival
    assert (
        compute_plateau_end(epochs, accuracies, chance) <= compute_arrival(epochs, accuracies, chance, 0.9) <= arrival
    )
    np.testing.assert_array_equal(smooth(accuracies), accuracies)
    steepest = compute_steepest_rise(epochs, accuracies, chance)
    assert math.isnan(steepest) == (accuracies[0] == accuracies[-1])


@LAW
@given(before=st.integers(1, 10), after=st.integers(1, 10), low=st.floats(0, 0.4), high=st.floats(0.7, 1))
def test_all_definitions_agree_on_a_step(before: int, after: int, low: float, high: float) -> None:
    accuracies = np.array([low] * before + [high] * after)
    for definition in DEFINITIONS:
        assert definition(np.arange(len(accuracies)), accuracies, min(low, 0.1)) == (
            0 if definition is compute_plateau_end and low >= 0.1 + 0.1 * (high - 0.1) else before
        )


@LAW
@given(accuracies=ACCURACIES, chance=CHANCES, shift=st.integers(0, 1000), stretch=st.sampled_from([1, 2, 4, 64]))
def test_times_move_and_stretch_with_the_epochs(
    accuracies: np.ndarray, chance: float, shift: int, stretch: int
) -> None:
    epochs = np.arange(len(accuracies))
    for definition in DEFINITIONS:
        before = definition(epochs, accuracies, chance)
        np.testing.assert_equal(definition(shift + stretch * epochs, accuracies, chance), shift + stretch * before)


@LAW
@given(accuracies=ACCURACIES, chance=CHANCES)
def test_undefined_epochs_count_for_nothing(accuracies: np.ndarray, chance: float) -> None:
    epochs, is_known = np.arange(len(accuracies)), ~np.isnan(accuracies)
    for definition in DEFINITIONS:
        alone = definition(epochs[is_known], accuracies[is_known], chance)
        np.testing.assert_equal(definition(epochs, accuracies, chance), alone)
