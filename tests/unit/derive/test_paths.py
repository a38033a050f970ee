import math

import numpy as np
import xarray as xr

from grokprobe.derive.paths import (
    PERIOD_SPECS,
    derive_path,
    find_grokking_period,
    path_specs,
    period_specs,
)
from reference import paths as reference

NAN = math.nan


def build_steps(norms, epochs=None, *, since=None, chord=None, stride=1):
    """Steps of one run; the last ``stride`` checkpoints start none."""
    epochs = list(range(len(norms))) if epochs is None else epochs
    ends = [*epochs[stride:], *[NAN] * min(stride, len(epochs))]
    values = {
        "step_norm": [NAN if math.isnan(end) else norm for norm, end in zip(norms, ends, strict=True)],
        "step_epochs": [end - epoch for epoch, end in zip(epochs, ends, strict=True)],
        "chord_epochs": [float(epoch - epochs[0]) for epoch in epochs] if since is None else since,
        "chord_norm": [0.5 * place for place in range(len(norms))] if chord is None else chord,
    }
    variables = {name: (("seed", "epoch"), np.array([value], dtype=float)) for name, value in values.items()}
    return xr.Dataset(variables, coords={"seed": [7], "epoch": epochs})


def lengths(steps):
    return derive_path(steps).path_length.sel(seed=7).to_numpy()


def test_length_is_the_sum_of_the_steps_before():
    np.testing.assert_array_equal(lengths(build_steps([1, 2, 4, 8], [0, 1, 5, 6])), [0, 1, 3, 7])


def test_order_of_epochs_does_not_matter():
    steps = build_steps([1, 2, 4, 8], [0, 1, 5, 6])
    xr.testing.assert_identical(derive_path(steps.isel(epoch=[2, 0, 3, 1])), derive_path(steps))


def test_a_path_ends_where_a_step_was_not_measured():
    steps = build_steps([1, 2, 4, 8, 16])
    unknown = steps.where(steps.epoch != 2)
    np.testing.assert_array_equal(lengths(unknown), [0, 1, NAN, NAN, NAN])
    np.testing.assert_array_equal(lengths(steps.sel(epoch=[0, 1, 3, 4])), [0, 1, NAN, NAN])
    np.testing.assert_array_equal(lengths(steps.isel(epoch=slice(1, None))), [NAN] * 4)  # its start is not there


def test_a_stride_passes_every_second_checkpoint():
    np.testing.assert_array_equal(lengths(build_steps([1, 2, 4, 8, 16], stride=2)), [0, NAN, 1, NAN, 5])


def test_runs_do_not_mix():
    short, long = build_steps([1, 1, 1]), build_steps([2, 2, 2], [0, 10, 20]).assign_coords(seed=[8])
    both = derive_path(xr.concat([short, long], dim="seed", join="outer"))
    np.testing.assert_array_equal(both.path_length.sel(seed=8, epoch=[0, 10, 20]), [0, 2, 4])
    np.testing.assert_array_equal(both.path_length.sel(seed=7, epoch=[0, 1, 2]), [0, 1, 2])
    assert np.isnan(both.path_length.sel(seed=7, epoch=[10, 20])).all()


def test_epochs_of_another_run_do_not_interrupt_a_stretch():
    fine, coarse = (
        build_steps(grokking_speeds(epochs) * width, epochs)
        for width, epochs in ((1, list(range(120))), (2, list(range(0, 240, 2))))
    )
    both = xr.concat([fine, coarse.assign_coords(seed=[8])], dim="seed", join="outer")
    alone = derive_path(coarse).step_norm_gradient.sel(seed=7)
    together = derive_path(both).step_norm_gradient.sel(seed=8, epoch=coarse.epoch)
    assert alone.notnull().any()
    np.testing.assert_array_equal(together, alone)
    period, expected = find_grokking_period(both).sel(seed=8), find_grokking_period(coarse).sel(seed=7)
    assert period.period_start.notnull()
    assert {name: value.item() for name, value in period.items()} == {
        name: value.item() for name, value in expected.items()
    }


def test_straightness_is_chord_over_length():
    derived = derive_path(build_steps([1, 2, 4, 8], chord=[0, 1, 1.5, NAN])).sel(seed=7)
    np.testing.assert_array_equal(derived.straightness, [NAN, 1, 0.5, NAN])
    still = derive_path(build_steps([0, 0, 1, 1], chord=[0, 0, 0, 1])).sel(seed=7)
    np.testing.assert_array_equal(still.straightness, [NAN, NAN, NAN, 1])


def test_gradient_is_of_the_norm_per_epoch():
    epochs = list(range(0, 45, 3))
    steps = build_steps([3 * (1 + 0.1 * epoch) for epoch in epochs], epochs)
    gradient = derive_path(steps).step_norm_gradient.sel(seed=7).to_numpy()
    np.testing.assert_allclose(gradient[3:-4], 0.1, rtol=1e-9)
    assert np.isnan(gradient[[0, 1, 2, -4, -3, -2, -1]]).all()


def test_a_sparser_schedule_begins_a_stretch_of_its_own():
    epochs = [*range(20), *range(20, 220, 10)]
    steps = build_steps([1.0 if epoch < 20 else 10.0 for epoch in epochs], epochs)  # the speed is 1 throughout
    gradient = derive_path(steps).step_norm_gradient.sel(seed=7)
    assert (gradient.dropna("epoch") == 0).all()
    defined = set(gradient.dropna("epoch").epoch.to_numpy().tolist())
    assert defined == {*range(3, 17), *range(50, 180, 10)}


def grokking_speeds(epochs):
    epochs = np.array(epochs, dtype=float)
    return np.exp(-epochs / 10) + 0.1 + 0.3 * np.exp(-(((epochs - 60) / 15) ** 2)) - 1e-4 * epochs


def test_period_agrees_with_loops():
    epochs = list(range(120))
    speeds = grokking_speeds(epochs)
    found = find_grokking_period(build_steps(speeds, epochs)).sel(seed=7)
    expected = reference.longest_rise(epochs[:-1], speeds[:-1].tolist())
    np.testing.assert_allclose([found[spec.name].item() for spec in PERIOD_SPECS], expected, rtol=1e-12)
    assert found.period_crossings == 2


def test_period_is_in_epochs_whatever_their_spacing():
    fine, coarse = (find_grokking_period(build_steps(grokking_speeds(e) * d, e)) for d, e in (
        (1, list(range(120))), (2, list(range(0, 240, 2)))
    ))  # fmt: skip
    np.testing.assert_allclose(coarse.period_start, fine.period_start, atol=1)
    np.testing.assert_allclose(coarse.period_end, fine.period_end, atol=1)


def test_no_period_is_sought_across_a_change_of_the_schedule():
    epochs = [*range(40), *range(40, 120, 4)]  # the rise begins in one stretch and ends in the other
    widths = np.diff([*epochs, 120])
    found = find_grokking_period(build_steps(grokking_speeds(epochs) * widths, epochs)).sel(seed=7)
    assert np.isnan(found.period_start)
    assert found.period_crossings == 2


def test_the_period_is_that_of_the_stretch_with_the_longest_rise():
    epochs = [*range(40), *range(40, 640, 4)]
    ripple = 0.2 * np.sin(np.arange(40) / 2)  # shorter rises in the first stretch
    speeds = np.concatenate([2 - np.arange(40) / 40 + ripple, grokking_speeds(np.arange(150))])
    found = find_grokking_period(build_steps(speeds * np.diff([*epochs, 640]), epochs)).sel(seed=7)
    assert found.period_crossings > 2
    assert found.period_start > 40


def test_a_run_without_steps_has_no_period():
    single = find_grokking_period(build_steps([1.0])).sel(seed=7)
    assert all(np.isnan(single[spec.name]) for spec in PERIOD_SPECS)
    short = find_grokking_period(build_steps([1.0] * 5)).sel(seed=7)
    assert short.period_crossings == 0
    assert np.isnan(short.period_rise)


def test_every_specified_variable_and_no_other():
    steps = build_steps([1, 2, 4])
    assert set(derive_path(steps).data_vars) == {spec.name for spec in path_specs(steps)}
    bare = steps.drop_vars("chord_norm")
    assert set(derive_path(bare).data_vars) == {spec.name for spec in path_specs(bare)} == {
        "path_length", "step_norm_gradient"
    }  # fmt: skip
    assert set(find_grokking_period(steps).data_vars) == {spec.name for spec in PERIOD_SPECS}
    assert next(spec.name for spec in period_specs("fisher@stiff")) == "geometry.fisher@stiff.period_start"
