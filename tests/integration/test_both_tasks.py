"""One directory with runs of both tasks, trained and analyzed as a user does it."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

from grokprobe.checkpoints import read_checkpoint
from grokprobe.numerics.streams import DATA_STREAM, build_generator
from grokprobe.progress import SilentProgress
from grokprobe_tasks.ising import Ising
from grokprobe_tasks.ising.options import IsingModelOptions, IsingOptions
from program import Outcome, grokprobe, run_python, tree_bytes

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


def test_processes_change_nothing_and_the_snapshots_are_kept(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROKPROBE_CACHE", str(tmp_path / "cache"))
    command = ("train", "ising/steady", *ISING, "--init-scales", "1,10", "--jobs", "2", "--out", tmp_path / "runs")
    result = run_python("-m", "grokprobe", *command)  # a fresh process: the environment differs
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 1
    written = tmp_path / "runs" / NAME
    assert tree_bytes(runs / NAME / "seed-0_init_scale-1") == tree_bytes(written / "seed-0_init_scale-1")
    manifest = json.loads((written / "seed-0_init_scale-10" / "run.json").read_text())
    assert manifest["parameters"]["task"]["num_sweeps"] == 5


def write_snapshot_file(path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    entries = [
        (generator.choice([-1, 1], size=(16, 16)), int(temperature > 2.269), float(temperature))
        for temperature in np.linspace(1.5, 3.0, 40)
    ]
    path.write_bytes(pickle.dumps(["made for a test", entries]))


def train_on_file(path: Path, out: Path, *options: str) -> Outcome:
    settings = {"task.snapshot_file": path, "task.num_train": 12, "task.num_test": 20}
    flags = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return grokprobe("train", "ising/steady", *flags, "--epochs", "2", *options, "--out", out)


def test_a_snapshot_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "IsingML.pickle"
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    result = train_on_file(path, tmp_path / "out")
    assert result.returncode == 2
    assert str(path) in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    write_snapshot_file(path, 0)
    result = train_on_file(path, tmp_path / "out", "--set", "task.num_test=200")
    assert (result.returncode, "found 20 in" in result.stderr or "found 40 in" in result.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_the_content_of_a_snapshot_file_belongs_to_the_experiment(tmp_path: Path) -> None:
    path, out = tmp_path / "data.pickle", tmp_path / "out"
    write_snapshot_file(path, 0)
    assert train_on_file(path, out).returncode == 0
    analyze = ("analyze", out, "--probes", "energy,weights", "--out", tmp_path / "r.zarr")
    assert grokprobe(*analyze).returncode == 0
    write_snapshot_file(path, 1)
    train_on_file(path, out)
    assert len(list(out.iterdir())) == 2  # other data are another experiment
    result = grokprobe("analyze", out, "--probes", "energy,weights", "--out", tmp_path / "fresh.zarr")
    assert result.returncode == 0, result.stderr
    assert "expected the file with SHA-256" in result.stdout
    assert result.stdout.count("probes/weights: 2 results, 2 measured now") == 2
    assert result.stdout.count("probes/energy: 2 results, 2 measured now") == 1
    path.unlink()
    result = grokprobe("analyze", out, "--probes", "energy,weights", "--out", tmp_path / "gone.zarr")
    assert (result.returncode, result.stdout.count("put it there")) == (0, 2), result.stderr


def test_the_authors_draw_can_be_asked_for_their_own_checkpoints(runs: Path, tmp_path: Path) -> None:
    (path,) = (runs / NAME).rglob("epoch-000020.safetensors")
    network = torch.nn.Sequential(
        *(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2)),
        *(torch.nn.Conv2d(2, 4, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten()),
        *(torch.nn.Linear(64, 100), torch.nn.ReLU(), torch.nn.Dropout(0), torch.nn.Linear(100, 2)),
    )
    own = list(read_checkpoint(path).parameters.values())
    foreign = {f"model.{name}": own[index] for index, name in enumerate(network.state_dict())}
    (tmp_path / "theirs").mkdir()
    for epoch in (0, 20):
        torch.save(foreign, tmp_path / "theirs" / f"{epoch}.pt")
    options = [part for key, value in SMALL.items() for part in ("--set", f"task.{key}={value}")]
    result = grokprobe(
        "analyze", tmp_path / "theirs", "--task", "ising", *options, "--set", "task.draw=shuffled",
        "--set", "task.split=seed:0", "--probes", "energy", "--out", tmp_path / "r.zarr",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "probes/energy: 2 results, 2 measured now" in result.stdout
    tree = xr.open_datatree(tmp_path / "r.zarr", engine="zarr")
    (experiment,) = tree.children
    layers = tree[f"{experiment}/probes/energy"].layer.to_numpy().tolist()
    assert layers == ["model.0", "model.3", "model.7", "model.10"] or len(layers) == 4
