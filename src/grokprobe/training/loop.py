"""The training loop: what happens at which epoch, and what is written in which order."""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

from grokprobe import names
from grokprobe.checkpoints.native import checkpoint_path
from grokprobe.interfaces import Samples, Task
from grokprobe.progress import Progress
from grokprobe.training.arithmetic import single_thread
from grokprobe.training.batch import Batch, Outcome, RunReport, RunRequest
from grokprobe.training.ensemble import Ensemble, build_ensemble
from grokprobe.training.run_directory import (
    Accuracies,
    Standing,
    append_history,
    locked_run,
    mark_diverged,
    open_run,
    read_accuracies,
    read_resume,
    write_checkpoint,
    write_resume,
)
from grokprobe.training.tables import ScheduleTable
from grokprobe.training.writer import BackgroundWriter

#: A resume state is written at every checkpoint, and at every so many epochs where checkpoints are rarer.
RESUME_INTERVAL: Final = 100


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


@dataclass(eq=False, slots=True, kw_only=True)
class _Lane:
    """A run in training, and its place in the computation."""

    request: RunRequest
    #: Its number among the members of the batch.
    member: int
    standing: Standing
    #: Rows of the history that are not written yet.
    rows: list[dict[str, float]] = field(default_factory=list)
    diverged_at: int | None = None
    accuracies: Accuracies = field(default_factory=Accuracies)

    @property
    def start(self) -> int:
        """The epoch it stands at; −1 before its first."""
        return -1 if self.standing.epoch is None else self.standing.epoch

    @property
    def place(self) -> str:
        """Its name for people."""
        return f"seed {self.request.seed}, init_scale {self.request.init_scale:g}"

    def report(self, num_epochs: int) -> RunReport:
        """Returns what became of it, once it has ended."""
        outcome: Outcome = "trained" if self.standing.epoch is None else "resumed"
        trained = num_epochs - max(self.start, 0)
        if self.standing.is_complete:
            outcome, trained = "skipped", 0
        elif self.standing.diverged_at is not None:
            outcome, trained = "diverged", 0
        elif self.diverged_at is not None:
            outcome, trained = "diverged", self.diverged_at - max(self.start, 0)
        return RunReport(
            directory=self.request.directory,
            seed=self.request.seed,
            init_scale=self.request.init_scale,
            outcome=outcome,
            epochs_trained=trained,
            diverged_at=self.diverged_at if self.standing.diverged_at is None else self.standing.diverged_at,
        )


def train_batch(
    batch: Batch, task: Task, population: Samples, progress: Progress, listener: CheckpointListener | None = None
) -> tuple[RunReport, ...]:
    """Trains the runs of a batch to the end of their schedule, each from where its directory stands.

    The files are byte for byte those of runs that were never interrupted (on one device). Work killed at any moment
    loses at most what came after the last resume state but one.

    Args:
        batch: which runs, and with whom they are computed.
        task: their task, with its options bound.
        population: the task's population, drawn once for all runs of a sweep.
        progress: advanced by one an epoch and run, by all epochs that need no work at once.
        listener: told of every checkpoint.

    Returns:
        A report for each request.

    Raises:
        UsageError: a directory holds something else, or a run that this schedule cannot continue.
        CorruptCheckpointError: a file that is needed to resume cannot be read.
        StoreError: another process is training in a directory.
    """
    with contextlib.ExitStack() as locks:
        for request in sorted(batch.requests, key=lambda one: one.directory):
            locks.enter_context(locked_run(request.directory))
        schedule = batch.requests[0].recipe.schedule
        lanes = [
            _Lane(
                request=request,
                member=batch.members.index(request.member),
                standing=open_run(request.directory, request.manifest(batch.plan()), schedule),
            )
            for request in batch.requests
        ]
        open_lanes = _announce(lanes, schedule, progress)
        if open_lanes:
            _train(batch, task, population, open_lanes, (progress, listener))
        return tuple(lane.report(schedule.epochs) for lane in lanes)


def _announce(lanes: list[_Lane], schedule: ScheduleTable, progress: Progress) -> list[_Lane]:
    """Counts the epochs that need no work, and returns the lanes that need some."""
    open_lanes = []
    for lane in lanes:
        if lane.standing.is_complete or lane.standing.diverged_at is not None:
            how = "complete" if lane.standing.is_complete else "diverged"
            progress.advance(schedule.epochs, f"{lane.place}: {how} already")
            continue
        open_lanes.append(lane)
        if lane.standing.epoch is not None:
            progress.advance(lane.standing.epoch, f"{lane.place}: resumed after epoch {lane.standing.epoch}")
    return open_lanes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """What the epochs of one batch share."""

    ensemble: Ensemble
    schedule: ScheduleTable
    lanes: list[_Lane]
    writer: BackgroundWriter
    progress: Progress
    listener: CheckpointListener | None


def _train(
    batch: Batch,
    task: Task,
    population: Samples,
    lanes: list[_Lane],
    listeners: tuple[Progress, CheckpointListener | None],
) -> None:
    recipe, device = batch.requests[0].recipe, torch.device(batch.requests[0].device)
    with (
        single_thread(),
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        BackgroundWriter() as writer,
    ):
        ensemble = build_ensemble(batch, task, population)
        progress, listener = listeners
        _train_epochs(
            _Loop(
                ensemble=ensemble,
                schedule=recipe.schedule,
                lanes=lanes,
                writer=writer,
                progress=progress,
                listener=listener,
            )
        )


def _train_epochs(loop: _Loop) -> None:
    """Trains what is left of every lane.

    A lane that stands at a later epoch than another joins when that epoch is reached; until then its member is computed
    and not kept.
    """
    ensemble, history = loop.ensemble, set(loop.schedule.history_epochs())
    checkpoints = set(loop.schedule.checkpoint_epochs())
    first = max(min(lane.start for lane in loop.lanes), 0)
    for epoch in range(first, loop.schedule.epochs + 1):
        sums = ensemble.train_epoch(epoch) if epoch > first else None
        active = [lane for lane in loop.lanes if lane.start < epoch and lane.diverged_at is None]
        rows = ensemble.evaluate(epoch) if active and epoch in history else None
        finite = [lane for lane in active if _take_losses(lane, sums, rows, ensemble.has_test)]
        made = [
            lane for lane in finite if epoch in checkpoints or lane.accuracies.differ_by(loop.schedule.accuracy_step)
        ]
        kept = finite if epoch % RESUME_INTERVAL == 0 else made
        if kept:
            loop.writer.flush()  # a kill loses no more than what came after the last epoch but one that was kept
        for lane in active:
            is_finite = lane in finite and (lane not in kept or _keep(lane, epoch, lane in made, loop))
            _advance(lane, epoch, is_finite, loop)
        for lane in loop.lanes:
            if lane.start == epoch:
                ensemble.load_state(lane.member, read_resume(lane.request.directory))
                lane.accuracies = read_accuracies(lane.request.directory)
        if all(lane.diverged_at is not None for lane in loop.lanes):
            return


def _take_losses(
    lane: _Lane, sums: Sequence[float] | None, rows: Sequence[dict[str, float]] | None, has_test: bool
) -> bool:
    """Takes this epoch's row of the history if its losses are finite, and returns whether they are."""
    if sums is not None and not math.isfinite(sums[lane.member]):
        return False
    if rows is None:
        return True
    row = dict(rows[lane.member])
    if not (math.isfinite(row[names.TRAIN_LOSS]) and (not has_test or math.isfinite(row[names.TEST_LOSS]))):
        return False
    lane.rows.append(row)
    lane.accuracies = Accuracies(at_checkpoint=lane.accuracies.at_checkpoint, latest=row[names.TEST_ACCURACY])
    return True


def _keep(lane: _Lane, epoch: int, is_checkpoint: bool, loop: _Loop) -> bool:
    """Writes history, checkpoint and resume state, in this order, if the parameters are finite; returns whether."""
    directory, parameters = lane.request.directory, loop.ensemble.parameters(lane.member)
    if not all(bool(tensor.isfinite().all()) for tensor in parameters.values()):
        return False
    loop.writer.submit(append_history, directory, lane.rows)
    lane.rows = []
    if is_checkpoint:
        lane.accuracies = Accuracies(at_checkpoint=lane.accuracies.latest, latest=lane.accuracies.latest)
        loop.writer.submit(write_checkpoint, directory, epoch, parameters)
        if loop.listener is not None:
            loop.writer.flush()
            path = checkpoint_path(directory, epoch)
            told = TrainedCheckpoint(path=path, seed=lane.request.seed, init_scale=lane.request.init_scale, epoch=epoch)
            loop.listener(told)
    loop.writer.submit(write_resume, directory, epoch, loop.ensemble.state(lane.member))
    return True


def _advance(lane: _Lane, epoch: int, is_finite: bool, loop: _Loop) -> None:
    """Counts an epoch of a lane, or ends a lane that is not finite."""
    if is_finite:
        if epoch > 0:
            loop.progress.advance(1, f"{lane.place}, epoch {epoch}")
        return
    lane.diverged_at = epoch
    directory = lane.request.directory
    loop.writer.submit(append_history, directory, [row for row in lane.rows if row[names.EPOCH] < epoch])
    loop.writer.submit(mark_diverged, directory, epoch)
    loop.progress.advance(loop.schedule.epochs - max(epoch - 1, 0), f"{lane.place}: diverged at epoch {epoch}")
