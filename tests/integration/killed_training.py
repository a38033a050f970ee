"""Trains a small sweep in child processes that kill themselves at every point where a kill could do harm.

Prints one JSON line a point: where it was killed, and how many epochs were begun before and after in all.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from grokprobe.training.learner import Learner
from unit.training.small_sweep import train_small

Kill = Callable[[], None]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def count_down(number: int) -> Callable[[], bool]:
    """Returns a function that is true at its ``number``-th call."""
    calls = iter(range(1, number + 1))
    return lambda: next(calls, None) == number


def before_rename(number: int) -> None:
    """A whole file that does not have its name yet."""
    is_due, rename = count_down(number), Path.replace

    def replace(path: Path, target: Path) -> Path:
        if is_due():
            kill()
        return rename(path, target)

    Path.replace = replace


def after_rename(number: int) -> None:
    is_due, rename = count_down(number), Path.replace

    def replace(path: Path, target: Path) -> Path:
        renamed = rename(path, target)
        if is_due():
            kill()
        return renamed

    Path.replace = replace


def torn_write(number: int) -> None:
    """A file, or a line of the history, whose end never reached the disk."""
    is_due, synchronise = count_down(number), os.fsync

    def fsync(descriptor: int) -> None:
        if is_due():
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - 5)
            kill()
        synchronise(descriptor)

    os.fsync = fsync


def end_of_epoch(number: int) -> None:
    """An epoch of which nothing was written."""
    is_due, train_epoch = count_down(number), Learner.train_epoch

    def train(learner: Learner, epoch: int, max_steps: int | None = None) -> float:
        loss = train_epoch(learner, epoch, max_steps)
        if is_due():
            kill()
        return loss

    Learner.train_epoch = train


#: Which of its calls each kill waits for. A run renames its manifest, then a checkpoint and a resume state for each
#: epoch from 0 on; before these two it waits for a row of the history to reach the disk.
KILLS: dict[Callable[[int], None], tuple[int, ...]] = {
    before_rename: (1, 2, 3, 4, 5, 8, 9, 10, 13),
    after_rename: (1, 2, 3, 4, 5, 8, 9, 10, 13),
    torn_write: (1, 2, 3, 4, 5, 6, 7, 13, 14),
    end_of_epoch: (1, 3, 4, 6),
}


def run_child(directory: Path, log: Path, arm: Kill | None) -> int:
    """Trains in a child process; returns its wait status. Every epoch begun is a byte in ``log``."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    train_epoch = Learner.train_epoch

    def train(learner: Learner, epoch: int, max_steps: int | None = None) -> float:
        with log.open("ab") as file:
            file.write(b".")
        return train_epoch(learner, epoch, max_steps)

    Learner.train_epoch = train
    if arm is not None:
        arm()
    train_small(directory, {"optimizer.reshuffle": True})
    os._exit(0)


def run_points(directory: Path) -> Iterator[dict[str, object]]:
    for arm, numbers in KILLS.items():
        for number in numbers:
            name = f"{arm.__name__}-{number}"
            log = directory / f"{name}.log"
            killed = run_child(directory / name, log, lambda arm=arm, number=number: arm(number))
            finished = run_child(directory / name, log, None)
            num_begun = log.stat().st_size if log.exists() else 0
            yield {"name": name, "killed": os.WTERMSIG(killed), "finished": finished, "num_begun": num_begun}


def warm_up() -> None:
    """Makes torch import what it imports at an optimizer's first step, so that no child has to."""
    parameter = torch.nn.Parameter(torch.ones(1))
    parameter.grad = torch.ones(1)
    torch.optim.Adam([parameter], fused=True).step()


if __name__ == "__main__":
    torch.set_num_threads(1)
    warm_up()
    for point in run_points(Path(sys.argv[1])):
        sys.stdout.write(json.dumps(point) + "\n")
