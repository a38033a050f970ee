import math

import numpy as np
import pytest

from grokprobe.numerics.turning_points import (
    compute_central_gradient,
    compute_running_median,
    find_even_stretches,
    find_longest_rise,
    find_zero_crossings,
)
from reference import paths as reference

NAN = math.nan


@pytest.mark.parametrize(
    ("places", "widths", "expected"),
    [
        ([0, 1, 2, 3], [1, 1, 1, NAN], [(0, 3)]),
        ([0, 1, 2, 12, 22, 32], [1, 1, 10, 10, 10, NAN], [(0, 2), (2, 5)]),  # a schedule that becomes sparser
        ([0, 1, 3, 4], [1, 2, 1, NAN], [(0, 1), (1, 2), (2, 3)]),
        ([0, 10, 20, 21], [1, 1, 1, 1], [(0, 3), (3, 4)]),  # every tenth of the steps was measured
        ([0, 1, 2, 3, 4], [1, NAN, 1, 1, NAN], [(0, 1), (2, 4)]),
        ([0, 1, 2, 3], [2, 2, NAN, NAN], [(0, 2)]),  # a stride of two
        ([], [], []),
    ],
)
def test_stretches(places, widths, expected):
    found = find_even_stretches(np.array(places), np.array(widths, dtype=float))
    assert [(stretch.start, stretch.stop) for stretch in found] == expected


def test_median_needs_its_whole_window():
    found = compute_running_median(np.array([5.0, 1, 2, 9, 3, 4, NAN, 0]))
    np.testing.assert_array_equal(found, [NAN, NAN, 3, 3, NAN, NAN, NAN, NAN])
    assert np.isnan(compute_running_median(np.ones(4))).all()


def test_median_keeps_a_monotone_curve_and_drops_an_outlier():
    curve = np.linspace(0, 1, 20) ** 3
    np.testing.assert_array_equal(compute_running_median(curve)[2:-2], curve[2:-2])
    curve[9] = 100
    assert compute_running_median(curve)[2:-2].max() < 1


def test_gradient_of_a_parabola_is_exact():
    places = np.array([0.0, 2, 4, 6])
    np.testing.assert_array_equal(compute_central_gradient(places, places**2), [NAN, 4, 8, NAN])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-1, 1], [(0.5, True)]),
        ([3, -1], [(0.75, False)]),
        ([1, 0, 0, -1], [(1.5, False)]),
        ([1, 0, 1], []),
        ([0, 0, 1, 2], []),
        ([-1, NAN, 1], []),
        ([-1, 1, NAN, 2, -2], [(0.5, True), (3.5, False)]),
        ([-1, 1, -1, 1], [(0.5, True), (1.5, False), (2.5, True)]),
        ([], []),
    ],
)
def test_crossings(values, expected):
    found = find_zero_crossings(np.arange(len(values)), np.array(values, dtype=float))
    assert [(crossing.place, crossing.is_upward) for crossing in found] == expected


def speeds(num_places=120):
    """A run that groks: a fall, a rise around 50, a fall; with noise that does not turn it elsewhere."""
    places = np.arange(0, 2 * num_places, 2)
    noise = np.random.default_rng(0).uniform(-1e-3, 1e-3, num_places)
    return places, np.exp(-places / 15) + 0.1 + 0.3 * np.exp(-(((places - 100) / 25) ** 2)) - places * 2e-4 + noise


def test_rise_agrees_with_loops():
    places, values = speeds()
    found = find_longest_rise(places, compute_running_median(values))
    expected = reference.longest_rise(places.tolist(), values.tolist())
    np.testing.assert_allclose((found.start, found.stop, found.ratio, found.num_crossings), expected, rtol=1e-12)
    assert 40 < found.start < 60
    assert 95 < found.stop < 100
    assert found.ratio > 2


@pytest.mark.parametrize(("widths", "peak"), [((8, 20), 220), ((20, 8), 80)])
def test_of_several_rises_the_longest_counts_however_small_it_is(widths, peak):
    places = np.arange(300.0)
    first, second = (
        np.exp(-(((places - centre) / width) ** 2)) for centre, width in zip((80, 220), widths, strict=True)
    )
    large = max(widths)
    values = 1 + (5 if widths[0] < large else 0.5) * first + (5 if widths[1] < large else 0.5) * second - places * 1e-3
    rise = find_longest_rise(places, values)
    assert peak - 1 < rise.stop < peak + 1
    assert rise.ratio < 2
    assert rise.num_crossings == 4


def test_of_rises_of_one_length_the_first_counts():
    waves = [1.0, -1, 1, -1, 1, -1]  # two minima and two maxima
    rise = find_longest_rise(np.arange(60.0), 2 + np.interp(np.arange(60) / 10, np.arange(6), waves))
    assert rise.num_crossings == 4
    assert (rise.start, rise.stop) == (10, 20)


@pytest.mark.parametrize("curve", [lambda x: np.exp(-x / 10), lambda x: x + 1.0, lambda x: 2 - np.cos(x / 10)])
def test_a_rise_has_both_a_minimum_and_a_maximum_inside(curve):
    rise = find_longest_rise(np.arange(50.0), curve(np.arange(50.0)))
    assert all(math.isnan(value) for value in (rise.start, rise.stop, rise.ratio))


def test_a_ratio_needs_positive_values():
    places = np.arange(100.0)
    assert math.isnan(find_longest_rise(places, np.cos(places / 12)).start)
