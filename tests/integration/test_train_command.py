"""``grokprobe train`` and what ``analyze`` makes of its runs."""

import json
from pathlib import Path

import numpy as np
import xarray as xr

from program import grokprobe, tree_bytes

SMALL = ("--set", "task.p=7", "--set", "model.hidden=16", "--set", "optimizer.batch_size=16")


def test_every_fault_of_a_recipe_is_named(tmp_path: Path) -> None:
    recipe = tmp_path / "bad.toml"
    recipe.write_text(
        '[task]\nname = "modular_addition"\np = "many"\n[optimizer]\nweigth_decay = 1.0\nlr = -1.0\n'
        '[schedule]\ncheckpoints = ["evry 10"]\n'
    )
    result = grokprobe("train", recipe, "--out", tmp_path / "out")
    assert result.returncode == 2
    for path in ("task.p", "optimizer.weigth_decay", "optimizer.lr", "schedule.checkpoints"):
        assert path in result.stderr
    assert "did you mean 'weight_decay'?" in result.stderr
    assert not (tmp_path / "out").exists()


def test_unknown_recipe_and_missing_file(tmp_path: Path) -> None:
    unknown = grokprobe("train", "modular_addition/papr")
    assert (unknown.returncode, "did you mean 'modular_addition/paper'?" in unknown.stderr) == (2, True)
    missing = grokprobe("train", tmp_path / "absent.toml")
    assert (missing.returncode, str(tmp_path / "absent.toml") in missing.stderr) == (2, True)


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    result = grokprobe("train", "modular_addition/paper", "--dry-run", "--out", tmp_path / "out")
    assert result.returncode == 0
    assert "25 runs of 1000 epochs" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_number_of_processes_changes_no_file(tmp_path: Path) -> None:
    for jobs in ("1", "2"):
        command = ("train", "modular_addition/demo", *SMALL, "--epochs", "10", "--jobs", jobs)
        result = grokprobe(*command, "--out", tmp_path / jobs)
        assert result.returncode == 0, result.stderr
    assert tree_bytes(tmp_path / "1") == tree_bytes(tmp_path / "2")
    assert any("epoch-000000.safetensors" in name for name in tree_bytes(tmp_path / "1"))


def test_a_changed_parameter_is_another_experiment(tmp_path: Path) -> None:
    base = ("train", "modular_addition/demo", *SMALL, "--epochs", "2", "--jobs", "1", "--out", tmp_path / "runs")
    assert grokprobe(*base).returncode == 0
    assert grokprobe(*base, "--set", "optimizer.lr=0.5").returncode == 0
    result = grokprobe("analyze", tmp_path / "runs", "--out", tmp_path / "r.zarr", "--json")
    assert result.returncode == 0, result.stderr
    assert {experiment["name"] for experiment in json.loads(result.stdout)["experiments"]} == {
        "modular_addition-batch_size=16-hidden=16-p=7",
        "modular_addition-batch_size=16-hidden=16-lr=0.5-p=7",
    }


def test_learning_rates_of_a_sweep_are_experiments(tmp_path: Path) -> None:
    base = ("train", "modular_addition/demo", *SMALL, "--epochs", "2", "--jobs", "1", "--out", tmp_path / "runs")
    swept = (*base, "--set", "sweep.lr=0.01,0.5", "--members-per-batch", "8")
    result = grokprobe(*swept, "--dry-run")
    names = [f"modular_addition-batch_size=16-hidden=16-lr={lr}-p=7" for lr in (0.01, 0.5)]
    assert all(f"{name}: 2 runs of 2 epochs" in result.stdout for name in names)
    assert grokprobe(*swept).returncode == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == names
    before = tree_bytes(tmp_path / "runs")
    result = grokprobe(*base, "--set", "optimizer.lr=0.5", "--json")  # the same experiment, by another way
    assert [run["outcome"] for run in json.loads(result.stdout)] == ["skipped"] * 2
    assert tree_bytes(tmp_path / "runs") == before


def test_history_and_summary_follow_the_run_as_it_grows(tmp_path: Path) -> None:
    base = ("train", "modular_addition/demo", *SMALL, "--jobs", "1", "--out", tmp_path / "runs")
    for epochs in (5, 20):
        assert grokprobe(*base, "--epochs", str(epochs)).returncode == 0
        assert grokprobe("analyze", tmp_path / "runs", "--out", tmp_path / "r.zarr").returncode == 0
    tree = xr.open_datatree(tmp_path / "r.zarr", engine="zarr")
    experiment = tree["modular_addition-batch_size=16-hidden=16-p=7"]
    history = experiment["history"].to_dataset()
    assert history.epoch.to_numpy().tolist() == list(range(21))
    assert (history.status == 1).all()
    rows = [json.loads(line) for line in next((tmp_path / "runs").rglob("history.jsonl")).read_text().splitlines()]
    first = history.sel(seed=0, init_scale=1.0)
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        np.testing.assert_array_equal(first[name], [row[name] for row in rows])
    summary = experiment["summary"].to_dataset().sel(seed=0, init_scale=1.0)
    assert summary.final_train_loss.item() == rows[-1]["train_loss"]
    assert experiment["history"].attrs["source"] == "recorded during training"
    assert experiment["probes/fourier"].layer.to_numpy().tolist() == ["input_a", "input_b", "output"]
