import math

import numpy as np
import pytest
import xarray as xr

from grokprobe.derive.transient import PEAK_SPECS, find_transient_peak

NAN = math.nan


def curve_of(*values: list[float], epochs: list[int] | None = None) -> xr.DataArray:
    """One seed a curve, one scale."""
    return xr.DataArray(
        [[curve] for curve in values],
        coords={"seed": range(len(values)), "init_scale": [1.0], "epoch": epochs or range(len(values[0]))},
    )


def times_of(*test_epochs: float, units: str = "epochs") -> xr.Dataset:
    """The plateau ends one epoch before the test accuracy saturates."""
    coords = {"seed": range(len(test_epochs)), "init_scale": [1.0]}
    test_epoch = xr.DataArray([[epoch] for epoch in test_epochs], coords=coords, attrs={"units": units})
    return xr.Dataset({"test_epoch": test_epoch, "plateau_end_epoch": test_epoch - 1})


def peak_of(curve: xr.DataArray, times: xr.Dataset) -> dict[str, float]:
    return {str(name): variable.item() for name, variable in find_transient_peak(curve, times).data_vars.items()}


def test_a_peak_of_two_thirds() -> None:
    found = peak_of(curve_of([1.0, 2.0, 5.0, 4.0, 3.0], epochs=[0, 10, 20, 30, 40]), times_of(15.0))
    assert found == {
        "peak": 5,
        "peak_epoch": 20,
        "final": 3,
        "peak_excess": pytest.approx(2 / 3),
        "epochs_after_plateau": 6,
        "epochs_after_test_epoch": 5,
    }


def test_no_transient_has_its_peak_at_the_end() -> None:
    found = peak_of(curve_of([1.0, 2.0, 3.0]), times_of(2.0))
    assert (found["peak_epoch"], found["peak_excess"], found["epochs_after_test_epoch"]) == (2, 0, 0)


def test_the_first_of_several_and_gaps() -> None:
    found = peak_of(curve_of([NAN, 4.0, NAN, 4.0, 2.0, NAN]), times_of(3.0))
    assert (found["peak_epoch"], found["final"], found["peak_excess"]) == (1, 2, 1)
    assert found["epochs_after_test_epoch"] == -2


def test_nothing_known_is_undefined() -> None:
    for curve in (curve_of([NAN, NAN]), curve_of([1.0]).isel(epoch=slice(0))):
        assert all(math.isnan(value) for value in peak_of(curve, times_of(1.0)).values())


def test_a_run_that_never_learns_has_a_peak_but_no_delay() -> None:
    found = peak_of(curve_of([1.0, 2.0, 1.0]), times_of(NAN))
    assert (found["peak_epoch"], found["peak_excess"]) == (1, 1)
    assert math.isnan(found["epochs_after_test_epoch"])


def test_runs_are_matched_and_epochs_sorted() -> None:
    curves = curve_of([1.0, 3.0, 2.0], [1.0, 2.0, 9.0])
    times = times_of(0.0, 1.0)
    found = find_transient_peak(curves.isel(seed=[1, 0], epoch=[2, 0, 1]), times)
    assert found.peak_epoch.sel(seed=0).item() == 1
    assert found.epochs_after_test_epoch.sel(seed=1).item() == 1
    assert find_transient_peak(curves, times.isel(seed=[1])).seed.to_numpy().tolist() == [1]


def test_variables_say_what_they_are() -> None:
    found = find_transient_peak(curve_of([1.0, 2.0]), times_of(1.0, units="steps"))
    assert {spec.name for spec in PEAK_SPECS} == set(found.data_vars)
    assert found.peak_epoch.attrs["units"] == "steps"
    assert "peak / final" in found.peak_excess.attrs["description"]
    for spec in PEAK_SPECS:
        spec.checked(found[spec.name].squeeze().to_numpy(), {})


def test_layers_stay() -> None:
    by_layer = xr.concat([curve_of([1.0, 2.0]), curve_of([3.0, 1.0])], dim="layer").assign_coords(layer=["a", "b"])
    found = find_transient_peak(by_layer, times_of(1.0))
    np.testing.assert_array_equal(found.peak_epoch.squeeze(), [1, 0])
