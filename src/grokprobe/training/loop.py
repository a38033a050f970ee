"""The training loop of one run: what happens at which epoch, and what is written in which order."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch

from grokprobe import names
from grokprobe.checkpoints.native import RunManifest, checkpoint_path
from grokprobe.interfaces import RunCoordinates, Samples, Task
from grokprobe.progress import Progress
from grokprobe.training.arithmetic import single_thread
from grokprobe.training.learner import Learner
from grokprobe.training.recipe import Recipe
from grokprobe.training.run_directory import (
    append_history,
    locked_run,
    mark_diverged,
    open_run,
    read_resume,
    write_checkpoint,
    write_resume,
)

#: A resume state is written at every checkpoint, and at every so many epochs where checkpoints are rarer.
RESUME_INTERVAL: Final = 100

Outcome = Literal["trained", "resumed", "skipped", "diverged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedCheckpoint:
    """A checkpoint that has just been written."""

    #: Where it lies.
    path: Path
    seed: int
    init_scale: float
    #: Epochs trained.
    epoch: int


#: Told of every checkpoint, after it is on disk and before the run goes on. A run that is killed in between tells of
#: the same checkpoint again when it is resumed.
CheckpointListener = Callable[[TrainedCheckpoint], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One run to train. It is plain data: it can be pickled and sent to another process."""

    recipe: Recipe
    #: Name of the built-in recipe or stem of the recipe file, for the manifest.
    recipe_name: str | None
    #: The run directory.
    directory: Path
    seed: int
    init_scale: float
    #: Where to compute, as torch names it.
    device: str = "cpu"

    def manifest(self) -> RunManifest:
        """Returns the manifest of the run."""
        return RunManifest(
            recipe=self.recipe_name,
            parameters=self.recipe.parameters(),
            seed=self.seed,
            init_scale=self.init_scale,
            schedule=self.recipe.schedule.model_dump(mode="json"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What became of one run."""

    #: The run directory.
    directory: Path
    seed: int
    init_scale: float
    #: ``trained`` from the start, ``resumed`` and finished, ``skipped`` because complete, or ``diverged``.
    outcome: Outcome
    #: Epochs trained this time.
    epochs_trained: int
    #: Epoch at which the loss stopped being finite, else None.
    diverged_at: int | None = None


def train_run(
    request: RunRequest, task: Task, population: Samples, progress: Progress, listener: CheckpointListener | None = None
) -> RunReport:
    """Trains one run to the end of its schedule, from where its directory stands.

    The files are byte for byte those of a run that was never interrupted (on one device). Work killed at any moment
    loses at most what came after the last resume state.

    Args:
        request: which run.
        task: its task, with its options bound.
        population: the task's population, drawn once for all runs of a sweep.
        progress: advanced by one an epoch, by all epochs that need no work at once.
        listener: told of every checkpoint.

    Raises:
        UsageError: the directory holds something else, or a run that this schedule cannot continue.
        CorruptCheckpointError: a file that is needed to resume cannot be read.
        StoreError: another process is training in the directory.
    """
    with locked_run(request.directory):
        return _train_locked(request, task, population, progress, listener)


def _train_locked(
    request: RunRequest, task: Task, population: Samples, progress: Progress, listener: CheckpointListener | None
) -> RunReport:
    schedule = request.recipe.schedule
    standing = open_run(request.directory, request.manifest(), schedule)
    place = f"seed {request.seed}, init_scale {request.init_scale:g}"
    if standing.is_complete or standing.diverged_at is not None:
        progress.advance(schedule.epochs, f"{place}: {'complete' if standing.is_complete else 'diverged'} already")
        outcome: Outcome = "skipped" if standing.is_complete else "diverged"
        return _report(request, outcome, 0, standing.diverged_at)
    device = torch.device(request.device)
    with single_thread(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        run = RunCoordinates(seed=request.seed, init_scale=request.init_scale)
        learner = Learner(task, population, request.recipe.optimizer, run, device)
        if standing.epoch is not None:
            learner.load_state(read_resume(request.directory))
            progress.advance(standing.epoch, f"{place}: resumed after epoch {standing.epoch}")
        start = 0 if standing.epoch is None else standing.epoch
        diverged_at = _train_epochs(request, learner, standing.epoch, progress, listener)
    if diverged_at is not None:
        progress.advance(schedule.epochs - max(diverged_at - 1, 0), f"{place}: diverged at epoch {diverged_at}")
        return _report(request, "diverged", diverged_at - start, diverged_at)
    outcome = "trained" if standing.epoch is None else "resumed"
    return _report(request, outcome, schedule.epochs - start, None)


def _report(request: RunRequest, outcome: Outcome, epochs_trained: int, diverged_at: int | None) -> RunReport:
    return RunReport(
        directory=request.directory,
        seed=request.seed,
        init_scale=request.init_scale,
        outcome=outcome,
        epochs_trained=epochs_trained,
        diverged_at=diverged_at,
    )


def _train_epochs(
    request: RunRequest, learner: Learner, done: int | None, progress: Progress, listener: CheckpointListener | None
) -> int | None:
    """Trains and writes what is left after epoch ``done``; returns the epoch of divergence, else None."""
    schedule, rows = request.recipe.schedule, []
    checkpoints, history = set(schedule.checkpoint_epochs()), set(schedule.history_epochs())
    for epoch in range(0 if done is None else done + 1, schedule.epochs + 1):
        is_finite = math.isfinite(learner.train_epoch(epoch)) if epoch > 0 else True
        if is_finite and epoch in history:
            row = learner.evaluate(epoch)
            is_finite = _has_finite_losses(row, learner.has_test)
            rows += [row] if is_finite else []
        is_kept = epoch in checkpoints or epoch % RESUME_INTERVAL == 0
        if is_finite and is_kept:
            is_finite = all(bool(tensor.isfinite().all()) for tensor in learner.parameters().values())
        if not is_finite:
            append_history(request.directory, (row for row in rows if row[names.EPOCH] < epoch))
            mark_diverged(request.directory, epoch)
            return epoch
        if is_kept:
            append_history(request.directory, rows)
            rows = []
            if epoch in checkpoints:
                _write_checkpoint(request, learner, epoch, listener)
            write_resume(request.directory, epoch, learner.state())
        if epoch > 0:
            progress.advance(1, f"seed {request.seed}, init_scale {request.init_scale:g}, epoch {epoch}")
    return None


def _write_checkpoint(request: RunRequest, learner: Learner, epoch: int, listener: CheckpointListener | None) -> None:
    write_checkpoint(request.directory, epoch, learner.parameters())
    if listener is not None:
        path = checkpoint_path(request.directory, epoch)
        listener(TrainedCheckpoint(path=path, seed=request.seed, init_scale=request.init_scale, epoch=epoch))


def _has_finite_losses(row: dict[str, float], has_test: bool) -> bool:
    return math.isfinite(row[names.TRAIN_LOSS]) and (not has_test or math.isfinite(row[names.TEST_LOSS]))
