import math

import numpy as np
import pytest
import xarray as xr

from grokprobe.derive import SUMMARY_SPECS, compute_arrival, summarise
from grokprobe.history import HISTORY_SPECS

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


def build_history(train: list[float], test: list[float], epochs: list[int] | None = None) -> xr.Dataset:
    """A history of one run; losses are 1 − accuracy."""
    curves = {"train_accuracy": np.array(train), "test_accuracy": np.array(test)}
    curves |= {name.replace("accuracy", "loss"): 1 - curve for name, curve in curves.items()}
    return xr.Dataset(
        {name: (("seed", "init_scale", "epoch"), curve[None, None, :]) for name, curve in curves.items()},
        coords={"seed": [0], "init_scale": [1.0], "epoch": epochs or list(range(len(train)))},
    )


def summary_of(*curves: list[float]) -> dict[str, float]:
    summary = summarise(build_history(*curves), chance=0.1)
    assert summary.sizes == {"seed": 1, "init_scale": 1}
    return {str(name): variable.item() for name, variable in summary.data_vars.items()}


def test_a_run_that_groks() -> None:
    summary = summary_of([0.1, 1.0, 1.0, 1.0, 1.0, 1.0], [0.1, 0.1, 0.1, 0.1, 0.9, 1.0])
    assert summary["train_epoch"] == 1
    assert summary["test_epoch"] == 5
    assert summary["grokking_time"] == 4
    assert summary["groks_margin"] == 3
    assert summary["groks"] == 1
    assert summary["final_test_accuracy"] == 1
    assert summary["final_test_loss"] == 0


def test_a_run_on_the_border_does_not_grok() -> None:
    summary = summary_of([0.1, 1.0, 1.0], [0.1, 0.1, 1.0])  # t_grok = t_train
    assert (summary["groks_margin"], summary["groks"]) == (0, 0)


def test_steady_learning_does_not_grok() -> None:
    summary = summary_of([0.1, 0.5, 0.9, 1.0], [0.1, 0.5, 0.9, 1.0])
    assert (summary["grokking_time"], summary["groks"]) == (0, 0)


def test_a_run_that_does_not_generalise_is_undefined() -> None:
    summary = summary_of([0.1, 1.0, 1.0], [0.1, 0.1, 0.1])
    assert summary["train_epoch"] == 1
    undefined = {name for name, value in summary.items() if math.isnan(value)}
    assert undefined == {"test_epoch", "grokking_time", "groks", "groks_margin"}


def test_last_values_are_the_last_known() -> None:
    summary = summary_of([0.1, 1.0, NAN], [0.1, 0.7, NAN])
    assert summary["final_test_accuracy"] == 0.7
    assert summary["final_train_loss"] == 0


def test_every_specified_variable_and_no_other() -> None:
    summary = summarise(build_history([0.1, 1.0], [0.1, 1.0]), chance=0.1)
    assert set(summary.data_vars) == {spec.name for spec in SUMMARY_SPECS}
    for spec in SUMMARY_SPECS:
        spec.checked(summary[spec.name].isel(seed=0, init_scale=0).to_numpy(), {})


def test_a_history_without_epochs_is_undefined_everywhere() -> None:
    empty = build_history([0.1], [0.1]).isel(epoch=slice(0))
    summary = summarise(empty, chance=0.1)
    assert summary.sizes == {"seed": 1, "init_scale": 1}
    assert all(np.isnan(variable.to_numpy()).all() for variable in summary.data_vars.values())


def test_runs_do_not_mix() -> None:
    fast, slow = build_history([0.1, 1.0, 1.0], [0.1, 1.0, 1.0]), build_history([0.1, 0.1, 1.0], [0.1, 0.1, 1.0])
    both = xr.concat([fast, slow.assign_coords(seed=[1])], dim="seed")
    assert summarise(both, chance=0.1).train_epoch.to_numpy().ravel().tolist() == [1, 2]


def test_histories_are_specified() -> None:
    assert {spec.name for spec in HISTORY_SPECS} == set(build_history([0.1], [0.1]).data_vars)
