"""The snapshots that the task classifies: simulated once and kept, or read from a file."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from grokprobe.cache import load_or_build
from grokprobe.errors import UsageError
from grokprobe.progress import Progress, SilentProgress
from grokprobe_tasks.ising.domain_walls import find_domain_walls
from grokprobe_tasks.ising.glauber import KERNEL_VERSION, sample_chains
from grokprobe_tasks.ising.lattice import CRITICAL_TEMPERATURE
from grokprobe_tasks.ising.options import IsingOptions
from grokprobe_tasks.ising.snapshot_file import digest_snapshot_file, read_snapshot_file

#: Distance of the lowest and the highest temperature from T_c.
TEMPERATURE_RANGE: Final = 1.0
_SILENT: Final = SilentProgress()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """Configurations of the lattice and what is known of each."""

    #: ±1, int8 of shape (num_snapshots, L, L).
    spins: torch.Tensor
    #: In units of J, float64 of shape (num_snapshots,).
    temperatures: torch.Tensor

    @property
    def labels(self) -> torch.Tensor:
        """0 ordered, T < T_c; 1 disordered; int64 of shape (num_snapshots,)."""
        return _label(self.temperatures)

    @property
    def has_domain_wall(self) -> torch.Tensor:
        """Whether walls wind around the torus (:func:`find_domain_walls`), bool of shape (num_snapshots,)."""
        return find_domain_walls(self.spins)


def temperature_grid(num_temperatures: int) -> torch.Tensor:
    """Returns temperatures evenly from T_c − 1 to T_c + 1, both included, float64 of shape (num_temperatures,)."""
    low, high = CRITICAL_TEMPERATURE - TEMPERATURE_RANGE, CRITICAL_TEMPERATURE + TEMPERATURE_RANGE
    return torch.linspace(low, high, num_temperatures, dtype=torch.float64)


def snapshot_temperatures(options: IsingOptions) -> torch.Tensor:
    """Returns the temperature of every simulated snapshot: all of the lowest first, shape (num_snapshots,)."""
    return temperature_grid(options.num_temperatures).repeat_interleave(options.num_snapshots)


def phase_labels(options: IsingOptions) -> torch.Tensor:
    """Returns the label of every simulated snapshot, without simulating it, int64 of shape (num_snapshots,)."""
    return _label(snapshot_temperatures(options))


def load_snapshots(options: IsingOptions, progress: Progress = _SILENT) -> Snapshots:
    """Returns the snapshots of ``snapshot_file`` in its order, or simulated ones if there is no such file.

    Raises:
        UsageError: the file cannot be read, holds something else, or is not the one that the options were made for.
    """
    if not options.snapshot_file:
        return simulate_snapshots(options, progress)
    return _read_file(options.snapshot_file, options.snapshot_sha256, options.size)


@functools.lru_cache(maxsize=1)
def _read_file(name: str, expected: str, size: int) -> Snapshots:
    path = Path(name).expanduser()
    spins, temperatures = read_snapshot_file(path, size)
    found = digest_snapshot_file(name)
    if found != expected:
        raise UsageError(
            f"{name}: expected the file with SHA-256 {expected[:12]}…, found {found[:12]}…: its content has changed;"
            " put the former file back, or train into another directory"
        )
    return Snapshots(spins=torch.from_numpy(spins), temperatures=torch.from_numpy(temperatures))


def simulate_snapshots(options: IsingOptions, progress: Progress) -> Snapshots:
    """Returns ``num_snapshots`` independent snapshots at each temperature of the grid, the lowest temperature first.

    Each is the end of a chain of its own, ``num_sweeps`` · L² single-site Glauber updates after a quench from infinite
    temperature; 64 chains at a time visit the same random sites, and are independent given these
    (:mod:`~grokprobe_tasks.ising.glauber`). The number of updates is finite on purpose: some cold snapshots still hold
    extended domain walls. They are simulated once and then come from the cache, whose key is everything that they
    depend on.

    Args:
        options: ``num_train``, ``num_test`` and ``split`` do not matter.
        progress: told of the updates, if there is something to simulate.
    """
    key = {
        "kernel": KERNEL_VERSION,
        "size": options.size,
        "num_temperatures": options.num_temperatures,
        "num_snapshots": options.num_snapshots,
        "num_sweeps": options.num_sweeps,
        "seed": options.snapshot_seed,
    }
    found = load_or_build("ising-snapshots", key, lambda: _simulate(options, progress))
    return Snapshots(spins=found["spins"], temperatures=snapshot_temperatures(options))


def _simulate(options: IsingOptions, progress: Progress) -> dict[str, torch.Tensor]:
    num_updates = options.num_sweeps * options.size**2
    progress.start("sampling Ising snapshots", num_updates)
    try:
        spins = sample_chains(
            snapshot_temperatures(options),
            size=options.size,
            num_updates=num_updates,
            seed=options.snapshot_seed,
            advance=progress.advance,
        )
    finally:
        progress.finish()
    return {"spins": spins}


def _label(temperatures: torch.Tensor) -> torch.Tensor:
    return (temperatures > CRITICAL_TEMPERATURE).to(torch.int64)
