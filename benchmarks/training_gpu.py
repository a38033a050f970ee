"""Whole sweeps on one GPU: ``python -m benchmarks.training_gpu [modular_addition] [ising]``.

Each is trained once, as a user trains it: published settings and schedule, all files written to a temporary directory.
The seconds are those of :func:`grokprobe.train`, from the call to its return; the spins of the Ising task are simulated
before.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.training import Stopwatch
from grokprobe import train
from grokprobe.progress import SilentProgress
from grokprobe_tasks.ising.options import IsingOptions
from grokprobe_tasks.ising.snapshots import load_snapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A recipe, its members, and the seconds that it shall not take more than on one H200."""

    recipe: str
    seeds: str
    init_scales: tuple[float, ...]
    epochs: int
    limit: float


SWEEPS = {
    "modular_addition": Sweep(
        recipe="modular_addition/paper",
        seeds="0-9",
        init_scales=(0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0),
        epochs=1000,
        limit=90.0,
    ),
    "ising": Sweep(
        recipe="ising/paper",
        seeds="0-9",
        init_scales=tuple(map(float, range(1, 11))),
        epochs=100_000,
        limit=120.0,
    ),
}


def run(name: str, sweep: Sweep) -> None:
    """Prints the seconds of a sweep."""
    if name == "ising":
        load_snapshots(IsingOptions(), SilentProgress())
    members = 10 * len(sweep.init_scales)
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        report = train(
            sweep.recipe,
            out=directory,
            seeds=sweep.seeds,
            init_scales=sweep.init_scales,
            epochs=sweep.epochs,
            device="cuda",
            members_per_batch=members,
            progress=Stopwatch(),
        )
        seconds = time.perf_counter() - start
    print(
        f"{name}: {len(report.runs)} runs of {sweep.epochs} epochs, {len(report.diverged)} diverged, {seconds:.1f} s"
        f" (at most {sweep.limit:.0f} s asked) on {torch.cuda.get_device_name()}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is named, else everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SWEEPS))
    names = parser.parse_args(arguments).names or list(SWEEPS)
    if unknown := sorted(set(names) - set(SWEEPS)):
        parser.error(f"expected some of {', '.join(SWEEPS)}, found {unknown[0]}")
    if not torch.cuda.is_available():
        parser.error("expected a CUDA device, found none")
    print(f"torch {torch.__version__}")
    for name in names:
        run(name, SWEEPS[name])


if __name__ == "__main__":
    main()
