"""One directory with runs of both tasks, trained and analyzed as a user does it."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from grokprobe.checkpoints import read_checkpoint
from grokprobe.numerics.streams import DATA_STREAM, build_generator
from grokprobe.progress import SilentProgress
from grokprobe_tasks.ising import Ising
from grokprobe_tasks.ising.options import IsingModelOptions, IsingOptions
from program import Outcome, grokprobe, tree_bytes

MODULAR = ("--set", "task.p=7", "--set", "model.hidden=16", "--set", "optimizer.batch_size=16", "--epochs", "5")
SMALL = {"num_snapshots": 4, "num_sweeps": 5, "num_train": 40, "num_test": 160}
ISING = (*(part for key, value in SMALL.items() for part in ("--set", f"task.{key}={value}")), "--epochs", "20")
NAME = "ising-num_snapshots=4-num_sweeps=5-num_test=160-num_train=40"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("both") / "ckpts"
    for recipe, options in (("modular_addition/demo", MODULAR), ("ising/steady", ISING)):
        result = grokprobe("train", recipe, *options, "--jobs", "1", "--out", directory)
        assert result.returncode == 0, result.stderr
    return directory


@pytest.fixture(scope="module")
def analysis(runs: Path) -> tuple[Outcome, Path]:
    out = runs.parent / "results.zarr"
    return grokprobe("analyze", runs, "--probes", "fourier,energy", "--out", out), out


def test_each_probe_runs_where_it_applies_and_says_where_not(analysis: tuple[Outcome, Path]) -> None:
    outcome, out = analysis
    assert outcome.returncode == 0, outcome.stderr
    tree = xr.open_datatree(out, engine="zarr")
    found = {name: set(tree[name]["probes"].children) for name in tree.children}
    assert found == {NAME: {"energy"}, "modular_addition-batch_size=16-hidden=16-p=7": {"fourier"}}
    ising, modular = outcome.stdout.partition("modular_addition-batch_size")[::2]
    assert "probes/fourier: does not apply here: no task says which axes are periodic" in ising
    assert "probes/energy: does not apply here: task modular_addition knows no energy of its inputs" in modular


def test_correlations_are_those_of_a_loop_over_the_test_samples(analysis: tuple[Outcome, Path], runs: Path) -> None:
    stored = xr.open_datatree(analysis[1], engine="zarr")[f"{NAME}/probes/energy"].to_dataset()
    task = Ising(IsingOptions(**SMALL), IsingModelOptions())
    test = task.population(SilentProgress()).at(task.split(0, build_generator(0, DATA_STREAM)).test)
    features = task.features(test.inputs)
    network = task.build_model()
    (path,) = (runs / NAME).rglob("epoch-000020.safetensors")
    network.load_state_dict(dict(read_checkpoint(path).parameters))
    hidden = {}
    network.hidden.register_forward_hook(
        lambda *arguments: hidden.update(values=arguments[2].detach().double().numpy())
    )
    network(test.inputs)
    found = stored.correlation.sel(seed=0, init_scale=1, epoch=20).where(stored.neuron_layer == "hidden", drop=True)
    for neuron in range(100):
        for feature, values in features.items():
            expected = stats.pearsonr(hidden["values"][:, neuron], values.numpy()).statistic
            value = found.sel(feature=feature).isel(neuron=neuron).item()
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6)


def test_channels_rows_and_columns_are_labelled(analysis: tuple[Outcome, Path]) -> None:
    stored = xr.open_datatree(analysis[1], engine="zarr")[f"{NAME}/probes/energy"].to_dataset()
    second = stored.isel(neuron=(stored.neuron_layer == "conv2").to_numpy())
    assert second.sizes["neuron"] == 4 * 8 * 8
    last = second.isel(neuron=-1)
    assert (last.channel.item(), last.row.item(), last.column.item(), last.neuron_index.item()) == (3, 7, 7, 255)
    assert set(stored.channel.to_numpy()[(stored.neuron_layer == "output").to_numpy()]) == {-1}


def test_training_again_changes_nothing_and_processes_share_the_snapshots(runs: Path, tmp_path: Path) -> None:
    result = grokprobe("train", "ising/steady", *ISING, "--init-scales", "1,10", "--jobs", "2", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    first, again = (tree_bytes(root / NAME / "seed-0_init_scale-1") for root in (runs, tmp_path))
    assert first == again
    manifest = json.loads((tmp_path / NAME / "seed-0_init_scale-10" / "run.json").read_text())
    assert manifest["parameters"]["task"]["num_sweeps"] == 5


def test_a_snapshot_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "IsingML.pickle"
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    result = grokprobe("train", "ising/steady", "--set", f"task.snapshot_file={path}", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert str(path) in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
