"""The directory of a run in training: what is in it, whether it may be continued, and from which epoch.

An epoch that is kept is written in the order history, checkpoint, resume state. The resume state is replaced
atomically and last, so whatever lies beyond its epoch is unfinished and is made again. There is one from epoch 0 on,
and it goes by time: checkpoints and rows may be ahead of it.
"""

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open

from grokprobe import names
from grokprobe.atomic import PARTIAL_SUFFIX, write_atomically
from grokprobe.checkpoints.native import (
    CHECKPOINT_PATTERN,
    HISTORY_FILE,
    MANIFEST_FILE,
    RESUME_FILE,
    RunManifest,
    checkpoint_path,
    read_history,
    read_manifest,
    write_manifest,
    write_tensors,
)
from grokprobe.errors import CorruptCheckpointError, StoreError, UsageError
from grokprobe.training.tables import ScheduleTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a run has come."""

    #: The epoch of the resume state, or None where nothing was kept yet.
    epoch: int | None
    #: Whether it has every epoch of the schedule.
    is_complete: bool
    #: Epoch at which the loss stopped being finite, else None.
    diverged_at: int | None


#: Differences of accuracies are exact to much less than this.
ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracies:
    """The test accuracies that decide whether a checkpoint is due; NaN where there is none yet."""

    #: At the last epoch of the history that is not after the last checkpoint.
    at_checkpoint: float = math.nan
    #: At the last epoch of the history.
    latest: float = math.nan

    def differ_by(self, step: float | None) -> bool:
        """Whether the accuracy has changed by at least ``step`` since the last checkpoint; never if it is None."""
        return step is not None and abs(self.latest - self.at_checkpoint) >= step - ROUNDING


def read_accuracies(directory: Path) -> Accuracies:
    """Returns the accuracies of a run that stands at its last row of the history."""
    rows, last_kept = read_history(directory), max(find_checkpoints(directory), default=-1)
    before = [row[names.TEST_ACCURACY] for row in rows if row[names.EPOCH] <= last_kept]
    return Accuracies(
        at_checkpoint=before[-1] if before else math.nan,
        latest=rows[-1][names.TEST_ACCURACY] if rows else math.nan,
    )


def open_run(directory: Path, manifest: RunManifest, schedule: ScheduleTable) -> Standing:
    """Makes ``directory`` ready to be trained in, or says that nothing is left to do.

    Half-written files, rows and checkpoints beyond the resume state are removed. A complete or diverged run is left
    as it is. A longer or finer schedule continues a run if all it asks for up to the run's present epoch is there;
    checkpoints that the new schedule would not have made are kept.

    Raises:
        UsageError: the directory holds another run, or a run that this schedule cannot continue.
        CorruptCheckpointError: the manifest, the history or the resume state cannot be read.
        StoreError: the run was begun with another plan.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for partial in directory.glob(f"*{PARTIAL_SUFFIX}"):
        partial.unlink()
    if not (directory / MANIFEST_FILE).exists():
        _refuse_checkpoints(directory, f"no {MANIFEST_FILE}")
        write_manifest(directory, manifest)
        return Standing(epoch=None, is_complete=False, diverged_at=None)
    present = read_manifest(directory)
    _refuse_other_run(directory, present, manifest)
    if present.diverged_at is not None:
        (directory / RESUME_FILE).unlink(missing_ok=True)  # left by a kill
        return Standing(epoch=None, is_complete=False, diverged_at=present.diverged_at)
    epoch = _read_resume_epoch(directory)
    _refuse_gaps(directory, schedule, present, -1 if epoch is None else epoch)
    if epoch is not None and epoch >= schedule.epochs:
        return Standing(epoch=epoch, is_complete=True, diverged_at=None)
    _discard_beyond(directory, -1 if epoch is None else epoch)
    if present.plan and present.plan != manifest.plan:
        raise StoreError(f"{directory} was begun by another training in the meantime; give the command again")
    continued = manifest.model_copy(update={"plan": present.plan, "measured_until": present.measured_until})
    if continued != present:
        write_manifest(directory, continued)
    return Standing(epoch=epoch, is_complete=False, diverged_at=None)


def lock_path(directory: Path) -> Path:
    """Returns the empty file beside a run directory that is locked while the run is in training."""
    return directory.with_name(f".{directory.name}.lock")


@contextlib.contextmanager
def locked_run(directory: Path) -> Iterator[None]:
    """Holds a run directory for this process alone.

    Raises:
        StoreError: another process is training in it.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_path(directory))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(f"{directory} is being trained by another process; wait until it ends") from error
    try:
        yield
    finally:
        lock.release()


def append_history(directory: Path, rows: Iterable[Mapping[str, float]]) -> None:
    """Appends ``rows`` to the history and waits until they are on disk."""
    text = "".join(json.dumps(dict(row)) + "\n" for row in rows)
    if not text:
        return
    with (directory / HISTORY_FILE).open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_checkpoint(directory: Path, epoch: int, parameters: Mapping[str, torch.Tensor]) -> None:
    """Writes the parameters after ``epoch`` epochs."""
    write_tensors(checkpoint_path(directory, epoch), parameters, {names.EPOCH: str(epoch)})


def write_resume(directory: Path, epoch: int, state: Mapping[str, torch.Tensor]) -> None:
    """Replaces the resume state: from here on the run stands at ``epoch``."""
    write_tensors(directory / RESUME_FILE, state, {names.EPOCH: str(epoch)})


def read_resume(directory: Path) -> dict[str, torch.Tensor]:
    """Returns the tensors of the resume state.

    Raises:
        CorruptCheckpointError: it cannot be read.
    """
    path = directory / RESUME_FILE
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - the file is no mapping
    except SafetensorError as error:
        raise _unreadable_resume(path) from error


def find_checkpoints(directory: Path) -> list[int]:
    """Returns the epochs of the checkpoints that are there, ascending."""
    found = (CHECKPOINT_PATTERN.fullmatch(path.name) for path in directory.iterdir())
    return sorted(int(match[1]) for match in found if match)


def delete_checkpoints(directory: Path, epochs: Iterable[int]) -> None:
    """Deletes the checkpoints after these epochs."""
    for epoch in epochs:
        checkpoint_path(directory, epoch).unlink()


def mark_diverged(directory: Path, epoch: int) -> None:
    """Writes into the manifest that the loss stopped being finite at ``epoch``; nothing is left to resume from."""
    write_manifest(directory, read_manifest(directory).model_copy(update={"diverged_at": epoch}))
    (directory / RESUME_FILE).unlink(missing_ok=True)


def _read_resume_epoch(directory: Path) -> int | None:
    path = directory / RESUME_FILE
    if not path.exists():
        # A run of our own has at most its first checkpoint before its first resume state.
        _refuse_checkpoints(directory, f"no {RESUME_FILE}", first=1)
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return int(file.metadata()[names.EPOCH])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _unreadable_resume(path) from error


def _unreadable_resume(path: Path) -> CorruptCheckpointError:
    return CorruptCheckpointError(
        f"{path}: expected the state to resume from, found no readable safetensors file with an epoch;"
        " move the run directory away to train the run again"
    )


def _refuse_checkpoints(directory: Path, lack: str, first: int = 0) -> None:
    foreign = [epoch for epoch in find_checkpoints(directory) if epoch >= first]
    if foreign:
        raise UsageError(
            f"{directory}: expected an empty directory or a run to resume, found {len(foreign)} checkpoints and {lack};"
            " train into another directory"
        )


def _refuse_other_run(directory: Path, present: RunManifest, asked: RunManifest) -> None:
    old, new = _identity(present), _identity(asked)
    differing = [
        f"{key} is {old.get(key, 'absent')}, asked for {new.get(key, 'absent')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) or (key in old) != (key in new)
    ]
    if differing:
        raise UsageError(
            f"{directory}: expected the run that is asked for, found another one ({'; '.join(differing)});"
            " train into another directory"
        )


def _identity(manifest: RunManifest) -> dict[str, Any]:
    values = {"seed": manifest.seed, "init_scale": manifest.init_scale}
    for table, content in manifest.parameters.items():
        values |= {f"{table}.{key}": value for key, value in content.items()}
    return values


def _refuse_gaps(directory: Path, schedule: ScheduleTable, manifest: RunManifest, epoch: int) -> None:
    """Raises if anything that is asked for is missing; a checkpoint that was measured and deleted is not."""
    kept = set(find_checkpoints(directory))
    if manifest.measured_until >= 0:
        before = ScheduleTable.model_validate(manifest.schedule).checkpoint_epochs()
        kept.update(past for past in before if past <= manifest.measured_until)
    rows = {row[names.EPOCH] for row in read_history(directory)}
    for what, wanted, present in (
        ("checkpoints", schedule.checkpoint_epochs(), kept),
        ("history", schedule.history_epochs(), rows),
    ):
        gaps = [past for past in wanted if past <= epoch and past not in present]
        if gaps:
            listed = ", ".join(map(str, gaps[:5])) + (", …" if len(gaps) > 5 else "")
            raise UsageError(
                f"{directory}: schedule.{what} asks for epochs that this run has passed without keeping them"
                f" ({listed}; it stands at epoch {epoch}); use its own schedule or train into another directory"
            )


def _discard_beyond(directory: Path, epoch: int) -> None:
    delete_checkpoints(directory, [kept for kept in find_checkpoints(directory) if kept > epoch])
    history = directory / HISTORY_FILE
    if history.exists():
        rows = [row for row in read_history(directory) if row[names.EPOCH] <= epoch]
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        if content != history.read_bytes():
            write_atomically(history, content)
