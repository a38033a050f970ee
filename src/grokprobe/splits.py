"""The split of a run's samples: that of a seed, everything, indices from a file, or as a run's own file holds it."""

import functools
import re
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from grokprobe.checkpoints.blob_data import StoredPart, read_stored_parts
from grokprobe.checkpoints.digests import file_digest
from grokprobe.checkpoints.manifest import FILE_SPLITS
from grokprobe.errors import CheckpointError, GrokprobeError, UsageError
from grokprobe.interfaces import Samples, Split, Task
from grokprobe.numerics.streams import DATA_STREAM, build_generator
from grokprobe.progress import SilentProgress


def draw_split(task: Task, text: str, content: str) -> Split:
    """Returns the split that ``text`` names.

    Args:
        task: whose population is split.
        text: ``seed:N``, ``all``, ``indices:FILE`` or ``stored:FILE``, a file that holds a whole run and its data.
        content: from :func:`split_content`.

    Raises:
        UsageError: it cannot be had; the message says why.
    """
    try:
        return _split(_ByKey(task), text, content)
    except GrokprobeError:
        raise
    except Exception as error:
        raise UsageError(f"task {task.name!r} cannot split its samples ({text}): {error!r}") from error


def split_samples(task: Task, text: str, content: str) -> tuple[Samples, Samples]:
    """Returns training and test samples of the split that ``text`` names; see :func:`draw_split`."""
    return _samples(_ByKey(task), text, content)


def split_content(text: str) -> str:
    """Returns the digest of the file that a split names; empty if it names none."""
    kind, _, argument = text.partition(":")
    return file_digest(Path(argument)) if kind in FILE_SPLITS and Path(argument).is_file() else ""


class _ByKey:
    """A task that is equal to another with the same key, so that its data is built once."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.key = (type(task), repr(sorted((name, repr(value)) for name, value in vars(task).items())))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByKey) and self.key == other.key


@functools.lru_cache(maxsize=64)
def _split(by_key: _ByKey, text: str, content: str) -> Split:
    del content  # part of the key: a split file that has changed is read again
    task = by_key.task
    kind, _, argument = text.partition(":")
    if kind == "seed" and re.fullmatch("[0-9]+", argument):
        return task.split(int(argument), build_generator(int(argument), DATA_STREAM))
    if kind == "all" and not argument:
        num_samples = len(task.population(SilentProgress()))
        return Split(train=torch.arange(num_samples), test=torch.arange(0))
    if kind == "indices" and argument:
        return _read_split(Path(argument), len(task.population(SilentProgress())))
    if kind == "stored" and argument:
        train, test = _read_stored(argument)
        if train.indices is None or test.indices is None:  # the samples themselves: numbered one after the other
            numbers = torch.arange(len(train) + len(test))
            return Split(train=numbers[: len(train)], test=numbers[len(train) :])
        num_samples = len(task.population(SilentProgress()))
        return _check_split(train.indices, test.indices, num_samples, Path(argument))
    raise UsageError(f"task.split: expected seed:N, all, indices:FILE or stored:FILE, found {text!r}")


def _read_stored(name: str) -> tuple[StoredPart, StoredPart]:
    try:
        return read_stored_parts(Path(name))
    except CheckpointError as error:
        raise UsageError(f"task.split: {error}") from error


def _check_split(train: torch.Tensor, test: torch.Tensor, num_samples: int, path: Path) -> Split:
    indices = torch.cat([train, test])
    if len(indices) and int(indices.max()) >= num_samples:
        raise UsageError(f"task.split: {path}: expected indices below {num_samples}, found {int(indices.max())}")
    if len(indices.unique()) != len(indices):
        raise UsageError(f"task.split: {path}: expected every index once, in train or in test; some are there twice")
    return Split(train=train, test=test)


class _SplitFile(BaseModel):
    """Contents of a split file."""

    model_config = ConfigDict(extra="ignore", strict=True)

    train: list[NonNegativeInt]
    test: list[NonNegativeInt]


def _read_split(path: Path, num_samples: int) -> Split:
    try:
        content = _SplitFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).replace("\n", " ")
        raise UsageError(
            f'task.split: expected JSON {{"train": [indices], "test": [indices]}} at {path}, found {reason}'
        ) from error
    train, test = (torch.tensor(part, dtype=torch.int64) for part in (content.train, content.test))
    return _check_split(train, test, num_samples, path)


@functools.lru_cache(maxsize=4)
def _samples(task: _ByKey, text: str, content: str) -> tuple[Samples, Samples]:
    kind, _, argument = text.partition(":")
    if kind == "stored" and argument:
        stored = [
            Samples(inputs=part.inputs, targets=part.targets)
            for part in _read_stored(argument)
            if part.inputs is not None and part.targets is not None
        ]
        if len(stored) == 2:
            return stored[0], stored[1]
    split = _split(task, text, content)
    population = task.task.population(SilentProgress())
    return population.at(split.train), population.at(split.test)
