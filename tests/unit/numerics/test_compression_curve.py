import math
from dataclasses import asdict

import numpy as np
import pytest

from grokprobe.numerics.compression_curve import summarise_curve
from reference import compression as reference


@pytest.mark.parametrize("num_steps", [8, 100])
def test_step_at_a_grid_point(num_steps):
    amounts = np.arange(num_steps + 1) / num_steps
    summary = summarise_curve(amounts, (amounts <= 0.75).astype(float))
    last = 0.75 + 0.5 / num_steps  # the trapezoid of the step's cell
    assert summary.area == pytest.approx(last)
    assert summary.compressibility == pytest.approx(1 / (1 - last))
    assert summary.compressibility_error == pytest.approx(1 / (1 - last - 0.5 / num_steps) - 1 / (1 - last))
    assert summary.amount_at_95 == summary.amount_at_95_relative == 0.75


def test_line_has_no_error_but_the_one_it_cannot_exclude():
    amounts = np.arange(101) / 100
    summary = summarise_curve(amounts, 1 - amounts)
    assert summary.compressibility == pytest.approx(2)
    assert summary.compressibility_error == pytest.approx(1 / (0.5 - 0.005) - 2)
    assert summary.amount_at_95 == 0.05


def test_agrees_with_loops_on_an_uneven_grid_of_part_of_the_range():
    generator = np.random.default_rng(0)
    amounts = np.array([0, 0.1, 0.15, 0.5, 0.8])
    for accuracies in generator.uniform(size=(20, 5)) ** 0.1:
        summary = summarise_curve(amounts, accuracies)
        assert summary.area == pytest.approx(reference.area(amounts, accuracies))
        assert summary.compressibility == pytest.approx(1 / (1 - reference.area(amounts, accuracies)))
        expected = [reference.last_amount(amounts, accuracies, level) for level in (0.95, 0.95 * accuracies[0])]
        np.testing.assert_equal([summary.amount_at_95.item(), summary.amount_at_95_relative.item()], expected)


def test_holding_out_to_the_last_step_is_the_largest_value_of_the_grid():
    amounts = np.arange(11) / 10
    summary = summarise_curve(amounts, np.array([1.0] * 10 + [0.2]))
    assert summary.compressibility == pytest.approx(2 * 10 / (1 - 0.2))
    assert summary.compressibility_error == math.inf


def test_accuracy_one_everywhere_is_infinite():
    summary = summarise_curve(np.arange(4) / 3, np.ones(4))
    assert (summary.area, summary.compressibility, summary.compressibility_error) == (1, math.inf, math.inf)
    assert summary.amount_at_95 == 1


def test_recovery_does_not_count():
    summary = summarise_curve(np.arange(5) / 4, np.array([1, 0.96, 0.9, 0.99, 0]))
    assert summary.amount_at_95 == 0.25


def test_never_accurate():
    amounts = np.arange(3) / 2
    low = summarise_curve(amounts, np.array([0.5, 0.48, 0.1]))
    assert math.isnan(low.amount_at_95)
    assert low.amount_at_95_relative == 0.5
    zero = summarise_curve(amounts, np.zeros(3))
    assert (zero.area, zero.compressibility, zero.compressibility_error) == (0, 1, 0)
    assert math.isnan(zero.amount_at_95)
    assert math.isnan(zero.amount_at_95_relative)


def test_undefined_accuracy_and_a_single_amount_are_undefined():
    curves = np.array([[1.0, np.nan, 0.0], [1.0, 1.0, 0.0]])
    summary = summarise_curve(np.arange(3) / 2, curves)
    single = summarise_curve(np.zeros(1), np.ones((2, 1)))
    for name, values in asdict(summary).items():
        assert np.isnan(values).tolist() == [True, False], name
    assert np.isnan([single.area, single.compressibility, single.compressibility_error]).all()
