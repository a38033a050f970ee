"""What looks wrong in a run whose files can all be read: one line a finding, none of which stops an analysis.

Every checkpoint is read once, one at a time.
"""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from grokprobe.checkpoints.file_names import read_file_name
from grokprobe.checkpoints.reading import Reading
from grokprobe.checkpoints.runs import CheckpointRef, Run
from grokprobe.errors import CheckpointError
from grokprobe.progress import Progress, SilentProgress

#: Names or epochs that a line lists before the rest is counted.
_LISTED: Final = 4
#: Elements that are looked at together.
_BLOCK: Final = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is kept of a checkpoint when the next one is read."""

    checkpoint: CheckpointRef
    shapes: Mapping[str, tuple[int, ...]]
    digest: bytes
    #: Parameters with NaN or infinities.
    not_finite: tuple[str, ...]
    #: The epoch that the name says, and that the file says itself; None where it does not.
    named: int | None
    own: int | None


def audit_run(run: Run, *, reading: Reading | None = None, progress: Progress | None = None) -> tuple[str, ...]:
    """Returns what looks wrong in ``run``, one line each without its path.

    - parameters that are NaN or infinite;
    - the same parameters under different epochs;
    - tensors that change their shape, appear or vanish along the run;
    - an interval between checkpoints that is longer than the one before and the one after it (not in a run of
      ``grokprobe train``, whose schedule says so);
    - optimizer steps that fall while epochs rise;
    - epochs that seem to be off by one: the name says one more than the file, or the file's steps are those of one
      epoch more than it says;
    - a file that changed since it was listed.

    Args:
        run: as discovered; checkpoints with a problem are left out.
        reading: as for :func:`~grokprobe.checkpoints.discover`.
        progress: hears of every checkpoint.
    """
    progress = progress or SilentProgress()
    seen, lines = [], []
    for checkpoint in run.checkpoints:
        if not checkpoint.problem:
            try:
                before = _stamps(checkpoint)
                seen.append(_look_at(checkpoint, reading or Reading()))
                if before != _stamps(checkpoint) or before[0] != (checkpoint.size, checkpoint.modified_ns):
                    lines.append(
                        f"{checkpoint.path.name} changed while it was read; look again when nobody writes to it"
                    )
            except (CheckpointError, OSError) as error:
                lines.append(f"{_at(run, checkpoint.epoch)}: it could be read before and cannot now: {error}")
        progress.advance(1, str(checkpoint.path))
    findings = (_find_not_finite, _find_equal, _find_drift, _find_falling_steps, _find_shifted_epochs)
    lines.extend(line for find in findings for line in find(run, seen))
    return (*lines, *(() if run.is_native else _find_gaps(run)))


def _look_at(checkpoint: CheckpointRef, reading: Reading) -> _Seen:
    content = reading.read(checkpoint.path, checkpoint.member)
    digest, not_finite = hashlib.blake2b(), []
    for name in content.parameters:
        digest.update(name.encode(errors="surrogatepass"))
        if not _take(content.parameters[name], digest):
            not_finite.append(name)
    named = None if checkpoint.member else read_file_name(checkpoint.path).epoch
    return _Seen(
        checkpoint=checkpoint,
        shapes=content.shapes,
        digest=digest.digest(),
        not_finite=tuple(not_finite),
        named=named,
        own=None if checkpoint.member else content.epoch,
    )


def _take(tensor: torch.Tensor, digest: "hashlib.blake2b") -> bool:
    """Takes a tensor into the digest, and says whether it is finite."""
    digest.update(f" {tensor.dtype} {tuple(tensor.shape)} ".encode())
    blocks = tensor.reshape(-1).split(_BLOCK)
    for block in blocks:
        digest.update(block.contiguous().view(torch.uint8).numpy().data)
    return all(map(_is_finite, blocks))


def _is_finite(block: torch.Tensor) -> bool:
    if block.dtype.itemsize == 1:  # torch has no test for the small types
        block = block.float()
    return bool(torch.isfinite(block).all())


def _stamps(checkpoint: CheckpointRef) -> list[tuple[int, int]]:
    """Returns size and time of change of its files."""
    statuses = [path.stat() for path in (checkpoint.path, *checkpoint.parts)]
    return [(status.st_size, status.st_mtime_ns) for status in statuses]


def _find_not_finite(run: Run, seen: Sequence[_Seen]) -> Iterator[str]:
    bad = [one for one in seen if one.not_finite]
    if bad:
        names = _list(list(dict.fromkeys(name for one in bad for name in one.not_finite)))
        yield f"{_epochs(run, [one.checkpoint.epoch for one in bad])}: NaN or infinite values in {names}"


def _find_equal(run: Run, seen: Sequence[_Seen]) -> Iterator[str]:
    groups: dict[bytes, list[int]] = {}
    for one in seen:
        groups.setdefault(one.digest, []).append(one.checkpoint.epoch)
    for epochs in groups.values():
        if len(epochs) > 1:
            yield f"{_epochs(run, epochs)}: the same parameters, bit for bit"


def _find_drift(run: Run, seen: Sequence[_Seen]) -> Iterator[str]:
    changes: dict[str, list[int]] = {}
    for one in seen:
        for name in [*run.shapes, *(name for name in one.shapes if name not in run.shapes)]:
            before, now = run.shapes.get(name), one.shapes.get(name)
            if before != now:
                text = f"tensor {_on_one_line(name)} is {now or 'not there'} and {before or 'not there'} in the first"
                changes.setdefault(text, []).append(one.checkpoint.epoch)
    listed = list(changes.items())
    for text, epochs in listed[:_LISTED]:
        yield f"{_epochs(run, epochs)}: {text}"
    if len(listed) > _LISTED:
        yield f"{len(listed) - _LISTED} more tensors change along the run"


def _find_falling_steps(run: Run, seen: Sequence[_Seen]) -> Iterator[str]:
    known = [(one.checkpoint.epoch, one.checkpoint.step) for one in seen if one.checkpoint.step is not None]
    for (epoch, step), (later, next_step) in itertools.pairwise(known):
        if next_step < step:
            yield f"{_at(run, later)}: {next_step} optimizer steps, fewer than the {step} of {_at(run, epoch)}"


def _find_shifted_epochs(run: Run, seen: Sequence[_Seen]) -> Iterator[str]:
    if run.epoch_units != "epochs":
        return
    both = [(one.named, one.own) for one in seen if one.named is not None and one.own is not None]
    if both and all(named == own + 1 for named, own in both):
        yield "the names say one epoch more than the files: the files seem to count from 0; say which with --layout"
    steps = [(one.checkpoint.epoch, one.checkpoint.step) for one in seen if one.checkpoint.step]
    is_telling = len(steps) > 1 or (bool(steps) and steps[0][0] == 0)  # one step after epoch 5 says nothing of epoch 4
    if is_telling and all(step * (steps[0][0] + 1) == steps[0][1] * (epoch + 1) for epoch, step in steps):
        yield (
            f"{_at(run, steps[0][0])} has {steps[0][1]} optimizer steps behind it, as after one epoch more: epochs seem"
            " to be counted from 0 and saved at their end; say the right ones with --layout or a grokprobe.toml"
        )


def _find_gaps(run: Run) -> Iterator[str]:
    epochs = [checkpoint.epoch for checkpoint in run.checkpoints]
    intervals = [later - epoch for epoch, later in itertools.pairwise(epochs)]
    for place in range(1, len(intervals) - 1):
        if intervals[place] > max(intervals[place - 1], intervals[place + 1]):
            yield (
                f"{run.epoch_units} {epochs[place]} to {epochs[place + 1]}: {intervals[place]} apart, the checkpoints"
                f" before {intervals[place - 1]} and after {intervals[place + 1]}; some seem to be missing"
            )


def _at(run: Run, epoch: int) -> str:
    return f"{run.epoch_units[:-1]} {epoch}"


def _epochs(run: Run, epochs: Sequence[int]) -> str:
    return _at(run, epochs[0]) if len(epochs) == 1 else f"{run.epoch_units} {_list(list(map(str, epochs)))}"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(_on_one_line, names[:_LISTED])) + more


def _on_one_line(name: str) -> str:
    return name if name.isprintable() else repr(name)
