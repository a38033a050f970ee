import math

import numpy as np
import pytest

from grokprobe.derive.times import (
    compute_arrival,
    compute_plateau_end,
    compute_settling,
    compute_steepest_rise,
    smooth,
)

NAN = math.nan


@pytest.mark.parametrize(
    ("accuracy", "chance", "expected"),
    [
        ([0.1, 0.5, 0.96, 1.0], 0.1, 2),
        ([1.0, 0.2, 1.0], 0.1, 0),  # the first time counts, though it falls again
        ([0.1, 0.1, 0.1], 0.1, NAN),  # never learns
        ([0.1, 0.54, 0.54], 0.1, NAN),  # not half-way
        ([0.5, 0.75, 0.75], 0.5, 1),  # exactly half-way from chance to 1
        ([0.0, 0.95, 1.0], 0.0, 1),  # exactly 0.95 of the maximum
        ([0.0, np.nextafter(0.95, 0), 1.0], 0.0, 2),
        ([NAN, 0.2, NAN, 1.0, NAN], 0.1, 3),  # NaN counts for nothing
        ([NAN, NAN], 0.1, NAN),
        ([], 0.1, NAN),
        ([1.0], 0.1, 0),
    ],
)
def test_arrival(accuracy: list[float], chance: float, expected: float) -> None:
    found = compute_arrival(np.arange(len(accuracy)), np.array(accuracy, dtype=float), chance)
    np.testing.assert_equal(found, float(expected))


def test_arrival_is_an_epoch_and_no_position() -> None:
    assert compute_arrival(np.array([0, 10, 500]), np.array([0.1, 0.3, 1.0]), 0.1) == 500


def test_the_fraction_is_a_choice() -> None:
    epochs, accuracy = np.arange(4), np.array([0.1, 0.91, 0.96, 1.0])
    assert [compute_arrival(epochs, accuracy, 0.1, fraction) for fraction in (0.01, 0.9, 0.95, 1)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        ([0.1, 0.5, 0.96, 1.0], 2),
        ([0.1, 0.96, 0.93, 1.0], 1),  # between the thresholds it holds
        ([0.1, 0.96, 0.89, 1.0], 3),  # below the lower one it does not
        ([0.1, 1.0, 0.3, 0.92, 0.96, 0.91], 4),  # above the lower one is not yet above the upper one
        ([0.1, 1.0, 0.8], NAN),  # ends below
        ([0.1, 1.0, 0.8, 0.93], NAN),  # ends in between, after a fall
        ([0.1, 1.0, NAN, 0.93], 1),  # NaN is no fall
        ([0.2, 0.2], NAN),  # never learns
        ([1.0], 0),
        ([], NAN),
    ],
)
def test_settling(accuracy: list[float], expected: float) -> None:
    found = compute_settling(10 * np.arange(len(accuracy)), np.array(accuracy, dtype=float), chance=0.1)
    np.testing.assert_equal(found, 10.0 * expected)


@pytest.mark.parametrize(
    ("epochs", "accuracy", "expected"),
    [
        ([0, 1, 2, 3, 4], [0.1, 0.2, 0.3, 0.9, 1.0], 3),
        ([0, 1, 2, 3, 4], [0.1, 0.1, 0.1, 0.1, 1.0], 4),  # a step at the end is kept
        ([0, 1, 2, 3, 4], [0.1, 1.0, 1.0, 1.0, 1.0], 1),  # and one at the beginning
        ([0, 1, 2, 12, 22], [0.1, 0.1, 0.3, 0.9, 1.0], 2),  # per epoch, not per stored epoch
        ([0, 1, 2, 3], [0.1, 0.4, 0.7, 1.0], 1),  # the first of several
        (list(range(9)), [0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.6, 0.7], 7),  # an outlier is no rise
        ([0, 1, 2, 3], [0.1, NAN, 0.1, 1.0], 3),
        ([0, 1, 2], [1.0, 1.0, 1.0], NAN),  # nothing rises
        ([0, 1, 2], [1.0, 0.9, 0.8], NAN),
        ([0], [1.0], NAN),
        ([0, 1], [0.1, 0.2], NAN),  # never learns
        ([], [], NAN),
    ],
)
def test_steepest_rise(epochs: list[int], accuracy: list[float], expected: float) -> None:
    found = compute_steepest_rise(np.array(epochs), np.array(accuracy, dtype=float), chance=0.1)
    np.testing.assert_equal(found, float(expected))


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        ([0.1, 0.1, 0.18, 0.3, 1.0], 3),  # chance + 0.1 (1 - chance) = 0.19
        ([0.1, 0.1, 0.2, 0.3, 1.0], 2),
        ([0.1, 0.1, 0.1, 1.0], 3),
        ([0.1, 0.1, 0.5, 0.1, 0.1, 0.1, 0.8, 1.0], 6),  # an outlier does not end it
        ([0.9, 1.0], 0),  # there is none
        ([0.1, 0.1], NAN),
        ([], NAN),
    ],
)
def test_plateau_end(accuracy: list[float], expected: float) -> None:
    found = compute_plateau_end(np.arange(len(accuracy)), np.array(accuracy, dtype=float), chance=0.1)
    np.testing.assert_equal(found, float(expected))


def test_running_median_is_that_of_a_loop() -> None:
    values = np.random.default_rng(0).random(20)
    for length in range(20):
        known = values[:length]
        reach = [min(2, place, length - 1 - place) for place in range(length)]
        expected = [np.median(known[place - near : place + near + 1]) for place, near in enumerate(reach)]
        np.testing.assert_array_equal(smooth(known), expected)
