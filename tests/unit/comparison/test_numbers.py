"""Numbers of two sets of runs."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import xarray as xr

from grokprobe.comparison import NumberRow
from grokprobe.comparison.numbers import compare_numbers, pair_runs

NAN = float("nan")


def numbers(values: Sequence[Sequence[float]], seeds: Sequence[int], scales: Sequence[float]) -> xr.Dataset:
    coords = {"seed": list(seeds), "init_scale": list(scales)}
    return xr.Dataset({"probes/p/x": (list(coords), np.array(values))}, coords=coords)


def runs_of(dataset: xr.Dataset) -> tuple[tuple[int, float], ...]:
    return tuple((s, g) for s in dataset.seed.to_numpy().tolist() for g in dataset.init_scale.to_numpy().tolist())


def compare(a: xr.Dataset, b: xr.Dataset) -> list[NumberRow]:
    return list(compare_numbers(a, b, pair_runs(runs_of(a), runs_of(b))))


def test_runs_of_equal_seed_are_pairs() -> None:
    a = numbers([[1.0], [2.0], [7.0]], [0, 1, 2], [1.0])
    b = numbers([[30.0], [12.0], [5.0]], [2, 1, 5], [1.0])
    (row,) = compare(a, b)  # seed 1: 2 and 12, seed 2: 7 and 30
    assert (row.a, row.b, row.num_a, row.num_b, row.is_paired) == (4.5, 21.0, 2, 2, True)
    assert row.difference == 16.5
    assert row.ratio == 21 / 4.5


def test_median_of_differences_is_not_difference_of_medians() -> None:
    a = numbers([[0.0], [1.0], [10.0]], [0, 1, 2], [1.0])
    b = numbers([[5.0], [2.0], [4.0]], [0, 1, 2], [1.0])
    (row,) = compare(a, b)
    assert (row.a, row.b, row.difference) == (1.0, 4.0, 1.0)


def test_one_scale_against_another() -> None:
    (row,) = compare(numbers([[1.0], [2.0]], [0, 1], [0.1]), numbers([[3.0], [5.0]], [0, 1], [10.0]))
    assert (row.init_scale, row.a, row.b, row.difference, row.is_paired) == (None, 1.5, 4.0, 2.5, True)


def test_one_seed_against_another() -> None:
    (row,) = compare(numbers([[1.0]], [0], [1.0]), numbers([[3.0]], [4], [1.0]))
    assert (row.init_scale, row.difference, row.is_paired, row.num_a) == (1.0, 2.0, True, 1)


def test_several_scales_stand_by_themselves() -> None:
    a = numbers([[1.0, 2.0]], [0], [0.1, 1.0])
    b = numbers([[5.0, 7.0]], [0], [1.0, 10.0])
    low, both, high = compare(a, b)
    assert (low.init_scale, low.a, low.num_a, low.num_b) == (0.1, 1.0, 1, 0)
    assert math.isnan(low.b)
    assert math.isnan(low.difference)
    assert (both.init_scale, both.a, both.b, both.difference, both.ratio) == (1.0, 2.0, 5.0, 3.0, 2.5)
    assert (high.init_scale, high.b, high.num_a, high.num_b) == (10.0, 7.0, 0, 1)


def test_seeds_that_have_nothing_in_common_are_no_pairs() -> None:
    a = numbers([[1.0], [2.0], [3.0]], [0, 1, 2], [1.0])
    (row,) = compare(a, numbers([[9.0], [10.0]], [7, 8], [1.0]))
    assert (row.a, row.b, row.difference, row.num_a, row.num_b, row.is_paired) == (2.0, 9.5, 7.5, 3, 2, False)


def test_undefined_pairs_are_left_out() -> None:
    a = numbers([[1.0], [NAN], [3.0]], [0, 1, 2], [1.0])
    b = numbers([[2.0], [5.0], [NAN]], [0, 1, 2], [1.0])
    (row,) = compare(a, b)
    assert (row.a, row.b, row.num_a, row.is_paired) == (1.0, 2.0, 1, True)


@pytest.mark.parametrize(
    ("a", "b", "is_equal"),
    [(NAN, NAN, True), (1.0, NAN, False), (NAN, 1.0, False), (0.0, 0.0, True), (1.0, 1.0 + 1e-15, False)],
)
def test_equality(a: float, b: float, is_equal: bool) -> None:
    (row,) = compare(numbers([[a]], [0], [1.0]), numbers([[b]], [0], [1.0]))
    assert row.is_equal is is_equal


def test_swapped_values_are_not_equal_though_their_medians_are() -> None:
    a = numbers([[1.0], [2.0], [3.0]], [0, 1, 2], [1.0])
    b = numbers([[2.0], [2.5], [1.0]], [0, 1, 2], [1.0])
    (row,) = compare(a, b)
    assert row.a == row.b == 2.0
    assert not row.is_equal


def test_infinite_numbers_have_no_difference() -> None:
    (row,) = compare(numbers([[np.inf]], [0], [1.0]), numbers([[np.inf]], [0], [1.0]))
    assert math.isnan(row.difference)
    assert math.isnan(row.ratio)
    assert row.is_equal
