"""The training loop: what happens at which epoch, and what is written in which order."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from grokprobe import names
from grokprobe.checkpoints.native import checkpoint_path
from grokprobe.interfaces import Samples, Task
from grokprobe.progress import Progress
from grokprobe.training.arithmetic import exact_products, single_thread
from grokprobe.training.batch import Batch, RunReport
from grokprobe.training.ensemble import Ensemble, build_ensemble
from grokprobe.training.lane import Lane
from grokprobe.training.pace import ResumePace
from grokprobe.training.run_directory import (
    Accuracies,
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

#: Epochs between two looks at a batch, at most: then losses are read back, and progress is told.
LONGEST_STRETCH: Final = 100


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
#: the same checkpoints again when it is resumed.
CheckpointListener = Callable[[TrainedCheckpoint], None]


def train_batch(
    batch: Batch, task: Task, population: Samples, progress: Progress, listener: CheckpointListener | None = None
) -> tuple[RunReport, ...]:
    """Trains the runs of a batch to the end of their schedule, each from where its directory stands.

    The files are byte for byte those of runs that were never interrupted (on one device). A kill at any moment loses at
    most what came after the last resume state but one; they are written as often as the requests say.

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
            Lane(
                request=request,
                member=batch.members.index(request.member),
                standing=open_run(request.directory, request.manifest(batch.plan()), schedule),
            )
            for request in batch.requests
        ]
        open_lanes = _announce(lanes, schedule, progress)
        if open_lanes:
            _train(batch, task, population, open_lanes, (progress, listener))
        return tuple(lane.report() for lane in lanes)


def _announce(lanes: list[Lane], schedule: ScheduleTable, progress: Progress) -> list[Lane]:
    """Counts the epochs that need no work, and returns the lanes that need some."""
    open_lanes = []
    for lane in lanes:
        if lane.standing.is_complete or lane.standing.diverged_at is not None:
            how = "complete" if lane.standing.is_complete else "diverged"
            progress.advance(schedule.epochs, f"{lane.place}: {how} already")
            continue
        if lane.start >= lane.request.stop:
            progress.advance(lane.request.stop, f"{lane.place}: it pauses")
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
    #: The last epoch, or that of a pause.
    stop: int
    lanes: list[Lane]
    writer: BackgroundWriter
    progress: Progress
    listener: CheckpointListener | None
    pace: ResumePace
    #: Epochs with a row of the history.
    history: frozenset[int]
    #: Epochs with a checkpoint in any case.
    checkpoints: frozenset[int]


def _train(
    batch: Batch,
    task: Task,
    population: Samples,
    lanes: list[Lane],
    listeners: tuple[Progress, CheckpointListener | None],
) -> None:
    request = batch.requests[0]
    device, schedule = torch.device(request.device), request.recipe.schedule
    with (
        single_thread(),
        exact_products(),
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        BackgroundWriter() as writer,
    ):
        progress, listener = listeners
        loop = _Loop(
            ensemble=build_ensemble(batch, task, population),
            schedule=schedule,
            stop=request.stop,
            lanes=lanes,
            writer=writer,
            progress=progress,
            listener=listener,
            pace=ResumePace(request.resume_seconds),
            history=frozenset(schedule.history_epochs()),
            checkpoints=frozenset(schedule.checkpoint_epochs()),
        )
        _train_epochs(loop)


def _train_epochs(loop: _Loop) -> None:
    """Trains what is left of every lane, and looks at it wherever there is something to do.

    A lane that stands at a later epoch than another joins when that epoch is reached; until then its member is computed
    and not kept.
    """
    first = done = max(min(lane.start for lane in loop.lanes), 0)
    stops, sums = _find_stops(loop, first), []
    for epoch in range(first, loop.stop + 1):
        if epoch > first:
            sums.append(loop.ensemble.train_epoch(epoch))
        if epoch not in stops and not loop.pace.is_over():
            continue
        _visit(loop, done, epoch, torch.stack(sums).tolist() if sums else [])
        for lane in loop.lanes:
            if lane.start == epoch:
                loop.ensemble.load_state(lane.member, read_resume(lane.request.directory))
                lane.accuracies = read_accuracies(lane.request.directory)
        done, sums = epoch, []
        if all(lane.diverged_at is not None for lane in loop.lanes):
            return


def _find_stops(loop: _Loop, first: int) -> set[int]:
    """Returns the epochs at which something is evaluated, written or read whatever the time, the last one included."""
    wanted = {first, loop.stop, *loop.history, *loop.checkpoints, *(lane.start for lane in loop.lanes)}
    wanted.update(range(0, loop.stop, LONGEST_STRETCH))
    return wanted


def _visit(loop: _Loop, done: int, epoch: int, sums: Sequence[Sequence[float]]) -> None:
    """Does what is due at ``epoch``, after the epochs from ``done`` to it, with these sums of losses."""
    active = [lane for lane in loop.lanes if lane.start < epoch and lane.diverged_at is None]
    for lane in active:
        lane.diverged_at = lane.find_divergence(done + 1, sums)
    finite = [lane for lane in active if lane.diverged_at is None]
    if finite and epoch in loop.history:
        rows = loop.ensemble.evaluate(epoch)
        for lane in finite:
            if not lane.take_row(rows[lane.member], loop.ensemble.has_test):
                lane.diverged_at = epoch
    # epoch 0 says whose the directory is, the last one that the run is complete
    resumable = epoch in (0, loop.stop) or (bool(finite) and loop.pace.is_due())
    is_flushed = False
    for lane in finite:
        is_checkpoint = epoch in loop.checkpoints or lane.accuracies.differ_by(loop.schedule.accuracy_step)
        if lane.diverged_at is None and (is_checkpoint or resumable):
            if not is_flushed:  # what waits is held in memory
                loop.writer.flush()
                is_flushed = True
            if not is_checkpoint or _keep_checkpoint(lane, epoch, loop):
                _keep_state(lane, epoch, loop, resumable)
            else:
                lane.diverged_at = epoch
    for lane in active:
        _advance(lane, done, epoch, loop)


def _keep_checkpoint(lane: Lane, epoch: int, loop: _Loop) -> bool:
    """Writes history and checkpoint, in this order, if the parameters are finite; returns whether."""
    directory, parameters = lane.request.directory, loop.ensemble.parameters(lane.member)
    if not all(bool(tensor.isfinite().all()) for tensor in parameters.values()):
        return False
    loop.writer.submit(directory, append_history, lane.hand_over_rows())
    lane.accuracies = Accuracies(at_checkpoint=lane.accuracies.latest, latest=lane.accuracies.latest)
    loop.writer.submit(directory, write_checkpoint, epoch, parameters)
    if loop.listener is not None:
        loop.writer.flush()
        path = checkpoint_path(directory, epoch)
        told = TrainedCheckpoint(path=path, seed=lane.request.seed, init_scale=lane.request.init_scale, epoch=epoch)
        loop.listener(told)
    return True


def _keep_state(lane: Lane, epoch: int, loop: _Loop, is_due: bool) -> None:
    """Writes history and resume state, in this order, if that is due."""
    if is_due:
        directory = lane.request.directory
        loop.writer.submit(directory, append_history, lane.hand_over_rows())
        loop.writer.submit(directory, write_resume, epoch, loop.ensemble.state(lane.member))


def _advance(lane: Lane, done: int, epoch: int, loop: _Loop) -> None:
    """Counts the epochs of a lane, or ends a lane that is not finite."""
    if lane.diverged_at is None:
        if epoch > 0:
            loop.progress.advance(epoch - done, f"{lane.place}, epoch {epoch}")
        return
    directory, rows = lane.request.directory, lane.hand_over_rows()
    loop.writer.submit(directory, append_history, [row for row in rows if row[names.EPOCH] < lane.diverged_at])
    loop.writer.submit(directory, mark_diverged, lane.diverged_at)
    loop.progress.advance(loop.schedule.epochs - done, f"{lane.place}: diverged at epoch {lane.diverged_at}")
