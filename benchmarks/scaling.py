"""How ``analyze`` scales, and what it costs to go on: ``python -m benchmarks.scaling``.

Two parts. The first trains a small sweep and analyzes it in one process and in two, several times in turns, each time
into a new store, and compares what was written byte for byte. Its ratio contains what a command costs before the first
measurement: two processes that import torch, the search for the checkpoints, the plan.

The second writes a ledger of many lines, one a result, and does what a resumed analysis does with it before it looks at
anything else: read it, and compare every result with the digest of its inputs.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grokprobe
from grokprobe.executors import ProcessWorkers, SerialExecutor
from grokprobe.planning import find_wanted
from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry, LedgerWriter, read_ledger

SIZES: Final = ("task.p=59", "model.hidden=128", 'schedule.checkpoints=["every 1"]')
MEASURES: Final = {"probes": ["fourier", "weights"], "compressors": ["magnitude"], "geometry": ["euclidean", "fisher"]}


def analyze_seconds(runs: Path, out: Path, num_processes: int) -> float:
    """Returns how long an analysis takes, the start and the end of its processes included."""
    start = time.perf_counter()
    with ProcessWorkers(num_processes) if num_processes > 1 else SerialExecutor() as workers:
        report = grokprobe.analyze(runs, out=out, executor=workers, **MEASURES)
    assert report.exit_code == 0, report  # noqa: S101 - a measurement of something that failed is none
    return time.perf_counter() - start


def read_published(store: Path) -> dict[Path, bytes]:
    """Returns every file of a store outside its private directory."""
    files = (path for path in store.rglob("*") if path.is_file() and ".grokprobe" not in path.parts)
    return {path.relative_to(store): path.read_bytes() for path in files}


def compare_processes(directory: Path, num_epochs: int, num_rounds: int) -> None:
    """Prints the seconds of one process and of two."""
    runs = directory / "runs"
    grokprobe.train(
        "modular_addition/demo",
        out=runs,
        seeds=[0, 1],
        init_scales=[1.0, 10.0],
        epochs=num_epochs,
        settings=SIZES,
        jobs=1,
    )
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for number in range(num_rounds):
        for num_processes, taken in seconds.items():
            taken.append(analyze_seconds(runs, directory / f"{number}-{num_processes}.zarr", num_processes))
        if read_published(directory / f"{number}-1.zarr") != read_published(directory / f"{number}-2.zarr"):
            raise SystemExit("two processes wrote something else than one")
    one, two = (statistics.median(taken) for taken in seconds.values())
    print(f"analyze, 4 runs of {num_epochs + 1} checkpoints: 1 process {one:.1f} s, 2 processes {two:.1f} s,", end=" ")
    print(f"{one / two:.2f}x (median of {num_rounds}); equal byte for byte")


def time_call(function: Callable[[], object]) -> float:
    """Returns the seconds of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def resume(directory: Path, num_lines: int, num_rounds: int) -> None:
    """Prints the seconds that a ledger of many lines costs a resumed analysis."""
    coordinates = [Coordinate("e/probes/p", number // 1000, 1.0, number % 1000) for number in range(num_lines)]
    wanted = {coordinate: f"{number:064x}" for number, coordinate in enumerate(coordinates)}
    writer = LedgerWriter(directory, 0)
    for coordinate, inputs in wanted.items():
        writer.append({coordinate: Entry(status=Status.OK, inputs=inputs)})
    read = statistics.median(time_call(lambda: read_ledger(directory)) for _ in range(num_rounds))
    entries = read_ledger(directory)
    left = find_wanted(entries, wanted, retry_failed=False, recompute=False)
    compared = statistics.median(
        time_call(lambda: find_wanted(entries, wanted, retry_failed=False, recompute=False)) for _ in range(num_rounds)
    )
    print(f"resume over {num_lines} ledger lines: read {read:.2f} s, compared {compared:.2f} s, left to do {len(left)}")


def main() -> None:
    """Runs both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=95, help="of each run; a checkpoint each")
    parser.add_argument("--lines", type=int, default=100_000, help="of the ledger")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions, of which the median counts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        resume(directory / "ledger", arguments.lines, arguments.rounds)
        compare_processes(directory, arguments.epochs, arguments.rounds)


if __name__ == "__main__":
    main()
