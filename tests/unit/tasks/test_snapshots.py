"""Snapshots: their order, their labels, the cache and the progress."""

import dataclasses
import hashlib
import pickle

import pytest
import torch

from grokprobe.errors import UsageError
from grokprobe.progress import SilentProgress
from grokprobe_tasks.ising import snapshots as snapshots_module
from grokprobe_tasks.ising.domain_walls import find_domain_walls
from grokprobe_tasks.ising.glauber import sample_chains
from grokprobe_tasks.ising.lattice import CRITICAL_TEMPERATURE, compute_energy
from grokprobe_tasks.ising.options import IsingOptions
from grokprobe_tasks.ising.snapshots import load_snapshots, phase_labels, simulate_snapshots, temperature_grid

SMALL = {"size": 8, "num_temperatures": 4, "num_snapshots": 30, "num_sweeps": 5, "num_train": 10, "num_test": 10}


class Listener:
    """Writes down what it is told."""

    def __init__(self):
        self.calls, self.done = [], 0

    def start(self, description, total):
        self.calls.append((description, total))

    def advance(self, num_units=1, note=""):
        self.done += num_units

    def finish(self):
        self.calls.append("finish")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GROKPROBE_CACHE", str(tmp_path))
    return tmp_path


def simulate(**changes):
    return simulate_snapshots(IsingOptions(**SMALL | changes), SilentProgress())


def test_grid_is_even_and_around_the_critical_temperature():
    grid = temperature_grid(50)
    assert grid.dtype == torch.float64
    assert grid[0] == CRITICAL_TEMPERATURE - 1
    assert grid[-1] == CRITICAL_TEMPERATURE + 1
    torch.testing.assert_close(grid.diff(), torch.full((49,), 2 / 49, dtype=torch.float64), rtol=1e-12, atol=0)
    assert int((grid < CRITICAL_TEMPERATURE).sum()) == 25


def test_lowest_temperature_comes_first():
    found = simulate()
    assert found.spins.shape == (120, 8, 8)
    assert found.spins.dtype == torch.int8
    assert torch.equal(found.temperatures, temperature_grid(4).repeat_interleave(30))
    assert found.labels.tolist() == [0] * 60 + [1] * 60
    assert found.labels.dtype == torch.int64
    assert torch.equal(found.labels, phase_labels(IsingOptions(**SMALL)))
    energy = compute_energy(found.spins).reshape(4, 30).mean(dim=1)
    assert torch.equal(energy, energy.sort().values)


def test_they_are_the_sampler_s():
    found = simulate(snapshot_seed=5)
    spins = sample_chains(found.temperatures, size=8, num_updates=5 * 64, seed=5)
    assert torch.equal(found.spins, spins)
    assert torch.equal(found.has_domain_wall, find_domain_walls(spins))
    assert 0 < int(found.has_domain_wall.sum()) < 120


def test_second_time_comes_from_the_cache(monkeypatch):
    listener = Listener()
    first = simulate_snapshots(IsingOptions(**SMALL), listener)
    assert listener.calls == [("sampling Ising snapshots", 320), "finish"]
    assert listener.done == 320
    monkeypatch.setattr(snapshots_module, "sample_chains", None)
    again = simulate_snapshots(IsingOptions(**SMALL | {"num_train": 5, "draw": "shuffled"}), listener)
    for field in dataclasses.fields(first):
        assert torch.equal(getattr(first, field.name), getattr(again, field.name))
    assert len(listener.calls) == 2


@pytest.mark.parametrize(
    "changes",
    [{"size": 4}, {"num_temperatures": 6}, {"num_snapshots": 31}, {"num_sweeps": 6}, {"snapshot_seed": 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_everything_that_matters_is_in_the_key(cache, changes):
    first, other = simulate(), simulate(**changes)
    assert len(list(cache.glob("ising-snapshots-*.safetensors"))) == 2
    assert first.spins.shape != other.spins.shape or not torch.equal(first.spins, other.spins)


def test_kernel_version_is_in_the_key(cache, monkeypatch):
    simulate()
    monkeypatch.setattr(snapshots_module, "KERNEL_VERSION", 1000)
    simulate()
    assert len(list(cache.glob("ising-snapshots-*.safetensors"))) == 2


def test_work_that_fails_is_finished(monkeypatch):
    def fail(*args, **options):
        raise KeyboardInterrupt

    listener = Listener()
    monkeypatch.setattr(snapshots_module, "sample_chains", fail)
    with pytest.raises(KeyboardInterrupt):
        simulate_snapshots(IsingOptions(**SMALL), listener)
    assert listener.calls[-1] == "finish"


def write_pickle(path, snapshots, order):
    entries = [
        (snapshots.spins[index].numpy(), int(snapshots.labels[index]), float(snapshots.temperatures[index]))
        for index in order.tolist()
    ]
    path.write_bytes(pickle.dumps(["made for a test", entries]))


def test_file_takes_the_place_of_the_simulation(tmp_path):
    made = simulate()
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    write_pickle(tmp_path / "data.pkl", made, order)
    options = IsingOptions(**SMALL | {"snapshot_file": str(tmp_path / "data.pkl")})
    found = load_snapshots(options)
    for name in ("spins", "temperatures", "labels", "has_domain_wall"):
        assert torch.equal(getattr(found, name), getattr(made, name)[order])
    assert torch.equal(load_snapshots(IsingOptions(**SMALL)).spins, made.spins)


def test_a_file_that_has_changed_since_is_noticed(tmp_path):
    made, path = simulate(), tmp_path / "data.pkl"
    write_pickle(path, made, torch.arange(120))
    options = IsingOptions(**SMALL | {"snapshot_file": str(path)})
    assert options.snapshot_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    write_pickle(path, made, torch.arange(119, -1, -1))
    with pytest.raises(UsageError, match=r"expected the file with SHA-256 .*, found .*: its content has changed"):
        load_snapshots(options)
