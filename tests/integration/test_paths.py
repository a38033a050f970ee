"""The path of a run in the dataset: growth, variants, and what follows from it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import grokprobe
from grokprobe.analysis_report import AnalysisReport
from grokprobe.derive.paths import derive_path, find_grokking_period
from program import tree_bytes

LAYOUT = "seed_{seed}/{epoch}.pt"
GROUP = "checkpoints/geometry/euclidean"


def write(root: Path, seed: int, epochs: range | list[int], *, shift: float = 0.0) -> None:
    """A spiral that slows down, speeds up and slows down again."""
    directory = root / f"seed_{seed}"
    directory.mkdir(parents=True, exist_ok=True)
    for epoch in epochs:
        angle = 0.5 * (seed + 1) * (epoch + shift + 3 * np.sin(epoch / 4))
        values = {"w": torch.tensor([[np.cos(angle), np.sin(angle)], [0.1 * angle, 1.0]]), "b": torch.eye(2)}
        torch.save({name: tensor.float() for name, tensor in values.items()}, directory / f"{epoch}.pt")


def analyze(runs: Path, out: Path, *labels: str, **options: Any) -> AnalysisReport:
    return grokprobe.analyze(runs, out=out, layout=LAYOUT, geometry=list(labels) or ["euclidean"], **options)


def read(out: Path, group: str = GROUP) -> xr.Dataset:
    return grokprobe.open_results(out)[group].to_dataset().load()


def test_a_strangers_run_has_a_path_without_model_or_data(tmp_path: Path) -> None:
    write(tmp_path / "runs", 0, range(40))
    report = analyze(tmp_path / "runs", tmp_path / "r.zarr")
    assert report.experiments[0].measured["geometry/euclidean"] == (40, 40)
    path = read(tmp_path / "r.zarr").isel(seed=0, init_scale=0)
    derived = derive_path(path)
    for name, values in derived.data_vars.items():
        np.testing.assert_array_equal(path[name], values, err_msg=str(name))
    assert np.isfinite(path.path_length).all()
    assert (path.straightness[1:] < 1 + 1e-6).all()
    assert path.path_length.attrs["units"] == "metric"
    assert path.step_epochs.attrs["units"] == "epochs"
    summary = read(tmp_path / "r.zarr", "checkpoints/summary").isel(seed=0, init_scale=0)
    period = find_grokking_period(path)
    assert np.isfinite(period.period_start)
    for name, value in period.data_vars.items():
        assert summary[f"geometry.euclidean.{name}"] == value, name


def test_epochs_between_before_after_and_a_run(tmp_path: Path) -> None:
    whole, growing = tmp_path / "whole", tmp_path / "growing"
    for seed in (0, 1):
        write(whole, seed, range(0, 90, 2))
    analyze(whole, tmp_path / "whole.zarr")
    num_new = []
    for seed, epochs in ((0, range(20, 60, 4)), (0, range(22, 60, 4)), (0, range(60, 90, 2)), (0, range(0, 20, 2))):
        write(growing, seed, epochs)
        report = analyze(growing, tmp_path / "growing.zarr")
        num_new.append(report.experiments[0].measured["geometry/euclidean"][1])
    write(growing, 1, range(0, 90, 2))
    analyze(growing, tmp_path / "growing.zarr")
    assert num_new == [10, 20, 16, 45]  # those with a new neighbour again; with a new start all
    for group in (GROUP, "checkpoints/summary"):
        xr.testing.assert_identical(read(tmp_path / "whole.zarr", group), read(tmp_path / "growing.zarr", group))


def test_a_changed_checkpoint_changes_the_path_behind_it(tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "r.zarr"
    write(runs, 0, range(40))
    analyze(runs, out)
    before = read(out)
    write(runs, 0, [30], shift=2.0)
    report = analyze(runs, out)
    assert report.experiments[0].measured["geometry/euclidean"] == (40, 3)
    after = read(out)
    same = (after.path_length == before.path_length).isel(seed=0, init_scale=0).to_numpy()
    assert same.tolist() == [True] * 30 + [False] * 10
    np.testing.assert_array_equal(after.path_length, derive_path(after).path_length)


def test_the_inputs_of_a_step_are_its_own_ends(tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "r.zarr"
    write(runs, 0, range(12))
    options = {"settings": ["euclidean.stride=3", "euclidean.chord_points=0"]}
    analyze(runs, out, **options)
    write(runs, 0, [6], shift=2.0)
    report = analyze(runs, out, **options)
    assert report.experiments[0].measured["geometry/euclidean"] == (12, 3)  # 3, 6 and 9
    analyze(runs, tmp_path / "anew.zarr", **options)
    xr.testing.assert_identical(read(out), read(tmp_path / "anew.zarr"))


def test_the_same_command_changes_no_byte_and_a_selection_says_less(tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "r.zarr"
    write(runs, 0, range(40))
    analyze(runs, out)
    content = tree_bytes(out)
    analyze(runs, out)
    assert tree_bytes(out) == content
    analyze(runs, tmp_path / "some.zarr", epochs="0-10,20-")
    some, all_of_it = read(tmp_path / "some.zarr"), read(out)
    length = some.path_length.isel(seed=0, init_scale=0)
    assert np.isfinite(length).to_numpy().tolist() == [True] * 11 + [False] * 20
    np.testing.assert_array_equal(length[:11], all_of_it.path_length.isel(seed=0, init_scale=0)[:11])


def test_a_path_that_was_not_derived_is_derived_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, out = tmp_path / "runs", tmp_path / "r.zarr"
    write(runs, 0, range(40))
    analyze(runs, out)
    expected = tree_bytes(out)
    shutil.rmtree(out)

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("grokprobe.writing.write_paths", fail)
        with pytest.raises(KeyboardInterrupt):
            analyze(runs, out)
    assert read(out).path_length.isnull().all()
    report = analyze(runs, out)
    assert report.experiments[0].measured["geometry/euclidean"] == (40, 0)
    assert tree_bytes(out) == expected


def test_a_place_without_a_run_has_no_summary(tmp_path: Path) -> None:
    for seed, place in ((0, "0_1.0"), (1, "1_2.0")):
        write(tmp_path, seed, range(4))
        (tmp_path / f"seed_{seed}").rename(tmp_path / f"run_{place}")
    grokprobe.analyze(
        tmp_path, out=tmp_path / "r.zarr", layout="run_{seed}_{init_scale}/{epoch}.pt", geometry=["euclidean"]
    )
    summary = read(tmp_path / "r.zarr", "checkpoints/summary")
    assert summary.status.to_numpy().tolist() == [[1, 0], [0, 1]]


def test_units_are_what_the_run_counts(tmp_path: Path) -> None:
    write(tmp_path / "runs", 0, range(4))
    for epoch in range(4):
        (tmp_path / "runs" / "seed_0" / f"{epoch}.pt").rename(tmp_path / "runs" / "seed_0" / f"model_step_{epoch}.pt")
    grokprobe.analyze(tmp_path / "runs", out=tmp_path / "r.zarr", geometry=["euclidean"])
    tree = grokprobe.open_results(tmp_path / "r.zarr")
    path, summary = tree[GROUP], tree["checkpoints/summary"]
    assert path.epoch.attrs["units"] == path.step_epochs.attrs["units"] == "steps"
    assert path.step_norm_gradient.attrs["units"] == "metric/step^2"
    assert summary["geometry.euclidean.period_start"].attrs["units"] == "steps"


def test_labels_stand_beside_each_other(tmp_path: Path) -> None:
    write(tmp_path / "runs", 0, range(40))
    settings = ["euclidean@far.stride=3", "euclidean@far.chord_points=0"]
    analyze(tmp_path / "runs", tmp_path / "r.zarr", "euclidean", "euclidean@far", settings=settings)
    near, far = read(tmp_path / "r.zarr"), read(tmp_path / "r.zarr", f"{GROUP}@far")
    assert far.attrs["options"]["stride"] == 3
    assert (far.step_epochs[..., :-3] == 3).all()
    assert "straightness" not in far
    every_third = far.path_length.isel(seed=0, init_scale=0, epoch=slice(None, None, 3))
    assert (every_third[1:] < near.path_length.isel(seed=0, init_scale=0, epoch=slice(None, None, 3))[1:]).all()
    summary = read(tmp_path / "r.zarr", "checkpoints/summary")
    assert {f"geometry.{label}.period_rise" for label in ("euclidean", "euclidean@far")} <= set(summary.data_vars)


def test_native_runs_in_the_exact_metric(tmp_path: Path) -> None:
    settings = ["task.p=5", "model.hidden=6", 'schedule.checkpoints=["every 1"]']
    given = {"settings": settings, "seeds": "0", "init_scales": [1.0], "epochs": 3, "jobs": 1}
    grokprobe.train("modular_addition/demo", out=tmp_path / "t", **given)
    labels = ["fisher@stiff", "fisher_diag"]
    settings = ["fisher@stiff.divergence=true"]
    report = grokprobe.analyze(tmp_path / "t", out=tmp_path / "r.zarr", geometry=labels, settings=settings)
    assert report.exit_code == 0
    tree = grokprobe.open_results(tmp_path / "r.zarr")
    (experiment,) = tree.children
    fisher = tree[f"{experiment}/geometry/fisher@stiff"].to_dataset().load().isel(seed=0, init_scale=0)
    diagonal = tree[f"{experiment}/geometry/fisher_diag"].to_dataset().load().isel(seed=0, init_scale=0)
    np.testing.assert_allclose(
        fisher.diagonal_error_norm[:-1], (diagonal.step_norm / fisher.step_norm - 1)[:-1], rtol=1e-9
    )
    np.testing.assert_allclose(fisher.step_kl[:-1], fisher.step_kl_quadratic[:-1], rtol=0.5)
    assert (fisher.stiff_fraction == fisher.stiff_fraction[0]).all()
    assert fisher.threshold.to_numpy().tolist() == [0.001, 0.01, 0.1, 1.0]
    summary = tree[f"{experiment}/summary"].to_dataset()
    assert {"train_epoch", "geometry.fisher@stiff.period_start"} <= set(summary.data_vars)
