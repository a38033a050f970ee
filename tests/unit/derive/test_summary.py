import math

import numpy as np
import xarray as xr

from grokprobe.derive import SUMMARY_SPECS, compute_arrival, compute_settling, last_known, summarise
from grokprobe.history import HISTORY_SPECS

NAN = math.nan
#: What the names of the other definitions end in.
OTHERS = ("_90", "_steepest", "_hysteresis")


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
    names = {"test_epoch", "grokking_time", "groks", "groks_margin"}
    assert undefined == {name + kind for name in names for kind in ("", *OTHERS)} | {"plateau_end_epoch"}


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


def test_the_definitions_stand_side_by_side() -> None:
    train = [0.1, 0.92, 0.96, 1.0, 1.0, 1.0, 1.0, 1.0]
    test = [0.1, 0.1, 0.1, 0.5, 0.96, 0.8, 0.97, 1.0]
    summary = summary_of(train, test)
    assert [summary[f"train_epoch{kind}"] for kind in ("", *OTHERS)] == [2, 1, 1, 2]
    assert [summary[f"test_epoch{kind}"] for kind in ("", *OTHERS)] == [4, 4, 3, 6]
    assert [summary[f"grokking_time{kind}"] for kind in ("", *OTHERS)] == [2, 3, 2, 4]
    assert [summary[f"groks_margin{kind}"] for kind in ("", *OTHERS)] == [0, 2, 1, 2]
    assert [summary[f"groks{kind}"] for kind in ("", *OTHERS)] == [0, 1, 1, 1]
    assert summary["plateau_end_epoch"] == 3


def test_the_functions_are_those_of_the_variables() -> None:
    history = build_history([0.1, 0.96, 0.5, 1.0], [0.1, 0.3, 0.91, 1.0], [0, 10, 20, 30])
    epochs, train = history.epoch.to_numpy(), history.train_accuracy.to_numpy().ravel()
    summary = summarise(history, chance=0.1)
    assert summary.train_epoch == compute_arrival(epochs, train, 0.1) == 10
    assert summary.train_epoch_hysteresis == compute_settling(epochs, train, 0.1) == 30
    assert summary.test_epoch_90 == compute_arrival(epochs, history.test_accuracy.to_numpy().ravel(), 0.1, 0.9) == 20


def test_last_known_keeps_other_dimensions() -> None:
    values = xr.DataArray([[1.0, NAN], [2.0, 5.0], [NAN, NAN]], dims=("layer", "epoch"), coords={"epoch": [7, 3]})
    np.testing.assert_equal(last_known(values).to_numpy(), [1.0, 2.0, NAN])  # epochs are sorted first
