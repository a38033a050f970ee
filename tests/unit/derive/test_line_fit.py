import math

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from grokprobe.derive.line_fit import FIT_SPECS, fit_by_regime, fit_line
from grokprobe.errors import UsageError

NAN = math.nan


def test_a_line_is_found() -> None:
    x = np.array([0.0, 1.0, 2.0, 5.0])
    fit = fit_line(x, 3 - 2 * x)
    assert (fit.num_points, fit.slope, fit.intercept) == (4, pytest.approx(-2), pytest.approx(3))
    assert fit.r_squared == pytest.approx(1)
    assert fit.p_value < 1e-9
    assert fit.slope_interval == (pytest.approx(-2), pytest.approx(-2))
    assert fit.intercept_interval == (pytest.approx(3), pytest.approx(3))


def test_agrees_with_the_normal_equations_and_the_t_test() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=12)
    y = 1 + 0.5 * x + generator.normal(size=12)
    fit = fit_line(x, y)
    design = np.stack([np.ones(12), x], axis=1)
    intercept, slope = np.linalg.solve(design.T @ design, design.T @ y)
    residuals = y - design @ [intercept, slope]
    error = math.sqrt(residuals @ residuals / 10 / np.sum((x - x.mean()) ** 2))
    assert (fit.slope, fit.intercept) == (pytest.approx(slope), pytest.approx(intercept))
    assert fit.r_squared == pytest.approx(1 - residuals @ residuals / np.sum((y - y.mean()) ** 2))
    assert fit.p_value == pytest.approx(2 * stats.t.sf(abs(slope / error), 10))


def test_the_bootstrap_interval_is_about_as_wide_as_theory_says_and_is_seeded() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=200)
    y = 2 * x + generator.normal(size=200)
    fit = fit_line(x, y)
    assert fit.slope_interval[0] < 2 < fit.slope_interval[1]
    assert fit.slope_interval[1] - fit.slope_interval[0] == pytest.approx(2 * 1.96 / math.sqrt(200), rel=0.2)
    assert fit_line(x, y) == fit
    assert fit_line(x, y, seed=1).slope_interval != fit.slope_interval
    assert fit_line(x, y, seed=1).slope == fit.slope


def test_an_interval_is_that_of_a_loop_over_samples() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 0.0, 2.0, 3.0])
    generator = np.random.default_rng(5)
    samples = [drawn for drawn in generator.integers(4, size=(300, 4)) if len(set(drawn)) > 1]
    lines = [np.polyfit(x[drawn], y[drawn], 1) for drawn in samples]
    fit = fit_line(x, y, num_resamples=300, seed=5)
    np.testing.assert_allclose(fit.slope_interval, np.percentile([line[0] for line in lines], [2.5, 97.5]))
    np.testing.assert_allclose(fit.intercept_interval, np.percentile([line[1] for line in lines], [2.5, 97.5]))


@pytest.mark.parametrize(
    ("x", "num_points"),
    [([], 0), ([1.0, 2.0], 2), ([1.0, 1.0, 1.0], 3), ([1.0, 2.0, NAN], 2), ([0.0, 1.0, math.inf], 2)],
)
def test_no_line_through_too_little(x: list[float], num_points: int) -> None:
    fit = fit_line(np.array(x), np.arange(len(x), dtype=float))
    assert fit.num_points == num_points
    numbers = (fit.slope, fit.intercept, fit.r_squared, fit.p_value, *fit.slope_interval, *fit.intercept_interval)
    assert np.isnan(numbers).all()


def test_a_flat_line_explains_nothing() -> None:
    fit = fit_line(np.arange(5.0), np.full(5, 7.0))
    assert (fit.slope, fit.intercept) == (0, 7)
    assert math.isnan(fit.r_squared)
    assert math.isnan(fit.p_value)


def runs(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, coords={"seed": range(values.shape[0]), "init_scale": [0.1, 1.0, 10.0]})


def test_each_regime_has_its_own_line() -> None:
    loss = runs(np.random.default_rng(0).random((4, 3)))
    groks = runs(np.tile([0.0, 0.0, 1.0], (4, 1)))
    groks[0, 0] = NAN  # in neither
    compressibility = xr.where(groks == 1, 3.0, 20 - 5 * loss)
    shuffled = compressibility.isel(seed=[2, 0, 3, 1]).transpose("init_scale", "seed")
    found = fit_by_regime(loss, shuffled, groks)
    assert found.num_runs.sel(regime=["steady", "grokking"]).to_numpy().tolist() == [7, 4]
    steady, grokking = found.sel(regime="steady"), found.sel(regime="grokking")
    assert (steady.slope.item(), steady.intercept.item()) == (pytest.approx(-5), pytest.approx(20))
    assert steady.r_squared.item() == pytest.approx(1)
    assert steady.slope_low.item() == pytest.approx(-5)
    assert grokking.slope.item() == 0
    assert grokking.r_squared.isnull()
    assert {spec.name for spec in FIT_SPECS} == set(found.data_vars)
    assert found.slope.attrs["description"]


def test_other_dimensions_are_refused() -> None:
    loss = runs(np.zeros((2, 3)))
    with pytest.raises(UsageError, match=r"same dimensions, found .*'epoch'"):
        fit_by_regime(loss, loss.expand_dims("epoch"), loss)
