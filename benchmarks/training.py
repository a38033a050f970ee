"""The speed of training against a plain loop: ``python -m benchmarks.training [modular_addition] [ising] [memory]``.

Each repeat times the peer, one member at a time on two threads, and then, in two processes of one thread each,
``grokprobe.train`` as a user calls it, with its choice of batches, its history and checkpoints. The time of grokprobe
is that between a quarter and the end of its progress, without the start of its processes. The table has the medians of
the repeats and of their ratios.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from benchmarks.peers import plain_loop
from grokprobe import train
from grokprobe.progress import SilentProgress
from grokprobe_tasks.ising.options import IsingOptions
from grokprobe_tasks.ising.snapshots import load_snapshots

NUM_REPEATS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A sweep of a recipe, and the peer that trains one of its members."""

    recipe: str
    options: dict[str, object]
    num_members: int
    num_epochs: int
    build_peer: Callable[[], plain_loop.Problem]
    num_peer_epochs: int


@dataclass(slots=True)
class Stopwatch:
    """A listener that remembers when which part of the work was done."""

    total: int = 0
    done: int = 0
    times: list[tuple[int, float]] = field(default_factory=list)

    def start(self, description: str, total: int) -> None:
        """Begins anew: sampling and training are told one after the other."""
        self.total, self.done, self.times = total, 0, [(0, time.perf_counter())]
        print(f"    {description}", flush=True)

    def advance(self, num_units: int = 1, note: str = "") -> None:
        """Counts."""
        del note
        self.done += num_units
        self.times.append((self.done, time.perf_counter()))

    def finish(self) -> None:
        """Does nothing."""

    def seconds_of_a_unit(self) -> float:
        """Returns the seconds of a unit between a quarter and the end."""
        first = next(entry for entry in self.times if entry[0] >= self.total / 4)
        last = self.times[-1]
        return (last[1] - first[1]) / (last[0] - first[0])


def build_ising_peer() -> plain_loop.Problem:
    """Real snapshots: ties in the pooling are the rule."""
    snapshots = load_snapshots(IsingOptions(), SilentProgress())
    chosen = torch.randperm(len(snapshots.spins), generator=torch.Generator().manual_seed(0))[:1300]
    return plain_loop.build_ising(snapshots.spins[chosen].unsqueeze(1).float(), snapshots.labels[chosen])


CASES = {
    "modular_addition": Case(
        recipe="modular_addition/paper",
        options={"seeds": "0", "init_scales": [0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 5.0, 10.0]},
        num_members=8,
        num_epochs=40,
        build_peer=plain_loop.build_modular_addition,
        num_peer_epochs=12,
    ),
    "ising": Case(
        recipe="ising/paper",
        options={"seeds": "0-1", "init_scales": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]},
        num_members=16,
        num_epochs=600,
        build_peer=build_ising_peer,
        num_peer_epochs=300,
    ),
}


NAMES = ["memory", *CASES]


def run_case(name: str, case: Case) -> None:
    """Prints medians of peer, grokprobe and their ratio."""
    problem = case.build_peer()
    peers, ours = [], []
    for repeat in range(NUM_REPEATS):
        peers.append(plain_loop.time_epoch(problem, case.num_peer_epochs))
        stopwatch = Stopwatch()
        with tempfile.TemporaryDirectory() as directory:
            train(
                case.recipe,
                out=directory,
                epochs=case.num_epochs,
                jobs=plain_loop.NUM_THREADS,
                progress=stopwatch,
                **case.options,
            )
        ours.append(stopwatch.seconds_of_a_unit())
        print(f"  {name}, repeat {repeat}: peer {peers[-1]:.5f} s, grokprobe {ours[-1]:.5f} s a member and epoch")
    ratio = statistics.median(peer / own for peer, own in zip(peers, ours, strict=True))
    print(
        f"{name}: {case.num_members} members; peer {1e3 * statistics.median(peers):.2f} ms,"
        f" grokprobe {1e3 * statistics.median(ours):.2f} ms a member and epoch; {ratio:.2f} times faster"
    )


def run_memory() -> None:
    """Prints the peak memory of one process that trains 32 members of modular addition together."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    members = 32
    with tempfile.TemporaryDirectory() as directory:
        scales = [0.1 * number for number in range(1, members + 1)]
        train("modular_addition/paper", out=directory, seeds="0", init_scales=scales, epochs=1, jobs=1,
              members_per_batch=members)  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    bound = 2 * 174_193 * members * 16 + 1e9
    print(
        f"memory: {members} members; peak {peak / 1e9:.2f} GB ({before / 1e9:.2f} before), bound {bound / 1e9:.2f} GB"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is named, else everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args(arguments).names or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"expected some of {', '.join(NAMES)}, found {unknown[0]}")
    print(f"torch {torch.__version__}, {len(os.sched_getaffinity(0))} cores, {NUM_REPEATS} repeats")
    for name in names:
        if name == "memory":
            run_memory()
        else:
            run_case(name, CASES[name])


if __name__ == "__main__":
    main()
