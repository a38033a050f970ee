"""What holds for statistics over seeds, fitted lines and peaks of any runs."""

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings

from grokprobe.derive.line_fit import fit_line
from grokprobe.derive.seeds import compute_seed_statistics
from grokprobe.derive.transient import find_transient_peak

LAW = settings(deadline=None, max_examples=30)
NUMBERS = st.integers(-100, 100).map(float)
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=12).map(lambda points: np.array(points).T)
FACTORS = st.sampled_from([-100.0, -0.5, 0.25, 3.0, 1e4])


def statistics_of(values):
    dataset = xr.Dataset({"x": ("seed", np.asarray(values))}, coords={"seed": range(len(values))})
    return compute_seed_statistics(dataset, num_resamples=200).x.to_numpy()


@LAW
@given(values=st.lists(NUMBERS, min_size=1, max_size=8), data=st.data(), shift=NUMBERS, factor=st.floats(0.01, 100))
def test_statistics_ignore_the_order_of_seeds_and_follow_shift_and_scale(values, data, shift, factor):
    before = statistics_of(values)
    np.testing.assert_array_equal(statistics_of(data.draw(st.permutations(values))), before)
    after = statistics_of(shift + factor * np.array(values))
    offset = np.where(np.arange(len(before)) == 4, 0, shift)  # the standard error does not move
    np.testing.assert_allclose(after, offset + factor * before, rtol=1e-9, atol=1e-9)


@LAW
@given(values=st.lists(NUMBERS, min_size=1, max_size=8))
def test_statistics_are_ordered_and_within_the_seeds(values):
    median, low, high, mean, error, bootstrap_low, bootstrap_high = statistics_of(values)
    assert min(values) <= low <= median <= high <= max(values)
    assert min(values) - 1e-9 <= mean <= max(values) + 1e-9
    if len(values) > 1:
        assert min(values) <= bootstrap_low <= bootstrap_high <= max(values)
        assert (error > 0) == (min(values) < max(values))


@LAW
@given(points=POINTS, x_factor=FACTORS, y_factor=FACTORS, shift=NUMBERS)
def test_what_a_line_explains_does_not_depend_on_units(points, x_factor, y_factor, shift):
    x, y = points
    assume(np.ptp(x) > 0)
    assume(np.ptp(y) > 0)
    before = fit_line(x, y, num_resamples=1)
    after = fit_line(shift + x_factor * x, shift + y_factor * y, num_resamples=1)
    assert after.r_squared == pytest.approx(before.r_squared, abs=1e-9)
    assert after.p_value == pytest.approx(before.p_value, abs=1e-6)
    assert after.slope == pytest.approx(before.slope * y_factor / x_factor, abs=1e-9 * abs(y_factor / x_factor))
    assert 0 <= after.r_squared <= 1 + 1e-12


@LAW
@given(points=POINTS, data=st.data(), factor=st.sampled_from([0.25, 3.0, 1e4]))
def test_lines_ignore_the_order_of_points_and_intervals_scale(points, data, factor):
    x, y = points
    assume(np.ptp(x) > 0)
    order = data.draw(st.permutations(range(len(x))))
    before = fit_line(x, y, num_resamples=100)
    np.testing.assert_equal(fit_line(x[order], y[order], num_resamples=100), before)
    after = fit_line(x, factor * y, num_resamples=100)
    np.testing.assert_allclose(after.slope_interval, factor * np.array(before.slope_interval), rtol=1e-9, atol=1e-9)


@LAW
@given(
    curve=st.lists(st.integers(1, 99), min_size=1, max_size=10),
    shift=st.integers(0, 99),
    factor=st.sampled_from([0.25, 3.0]),
)
def test_a_peak_is_at_least_the_end_moves_with_the_epochs_and_its_excess_has_no_units(curve, shift, factor):
    def peak_of(values, first):
        runs = {"seed": [0], "init_scale": [1.0]}
        compressibility = xr.DataArray([[values]], coords={**runs, "epoch": np.arange(len(values)) + first})
        times = {name: (("seed", "init_scale"), [[float(first)]]) for name in ("test_epoch", "plateau_end_epoch")}
        return find_transient_peak(compressibility, xr.Dataset(times, coords=runs)).squeeze()

    before, after = peak_of(np.array(curve), 0), peak_of(factor * np.array(curve), shift)
    assert before.peak >= before.final
    assert before.peak_excess >= 0
    assert (before.peak_excess > 0) == (max(curve) > curve[-1])
    assert after.peak_epoch == before.peak_epoch + shift
    assert after.epochs_after_test_epoch == before.epochs_after_test_epoch
    assert after.peak_excess.item() == pytest.approx(before.peak_excess.item(), rel=1e-9, abs=1e-12)
