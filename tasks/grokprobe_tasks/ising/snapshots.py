"""The snapshots that the task classifies: simulated once and kept, or read from a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from grokprobe.cache import load_or_build
from grokprobe.progress import Progress, SilentProgress
from grokprobe_tasks.ising.domain_walls import find_domain_walls
from grokprobe_tasks.ising.glauber import KERNEL_VERSION, sample_chains
from grokprobe_tasks.ising.lattice import CRITICAL_TEMPERATURE
from grokprobe_tasks.ising.options import IsingOptions
from grokprobe_tasks.ising.snapshot_file import read_snapshot_file

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
    #: 0 ordered, T < T_c; 1 disordered; int64 of shape (num_snapshots,).
    labels: torch.Tensor
    #: Whether walls wind around the torus (:func:`find_domain_walls`), bool of shape (num_snapshots,).
    has_domain_wall: torch.Tensor


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
        UsageError: the file cannot be read or holds something else.
    """
    if not options.snapshot_file:
        return simulate_snapshots(options, progress)
    spins, temperatures = read_snapshot_file(Path(options.snapshot_file), options.size)
    spins = torch.from_numpy(spins)
    return _assemble(spins, torch.from_numpy(temperatures), find_domain_walls(spins))


def simulate_snapshots(options: IsingOptions, progress: Progress) -> Snapshots:
    """Returns ``num_snapshots`` independent snapshots at each temperature of the grid, the lowest temperature first.

    Each is the end of a chain of its own, ``num_sweeps`` · L² single-site Glauber updates after a quench from infinite
    temperature. That number is finite on purpose: some cold snapshots still hold extended domain walls. They are
    simulated once and then come from the cache, whose key is everything that they depend on.

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
    return _assemble(found["spins"], snapshot_temperatures(options), found["has_domain_wall"])


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
    return {"spins": spins, "has_domain_wall": find_domain_walls(spins)}


def _label(temperatures: torch.Tensor) -> torch.Tensor:
    return (temperatures > CRITICAL_TEMPERATURE).to(torch.int64)


def _assemble(spins: torch.Tensor, temperatures: torch.Tensor, has_domain_wall: torch.Tensor) -> Snapshots:
    return Snapshots(
        spins=spins, temperatures=temperatures, labels=_label(temperatures), has_domain_wall=has_domain_wall
    )
