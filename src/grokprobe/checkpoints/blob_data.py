"""The samples that a run in a blob trained and tested on: which ones, or the samples themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from grokprobe.checkpoints.formats import FileFormat, sniff_format
from grokprobe.checkpoints.stored_tensors import StoredTensor
from grokprobe.checkpoints.torch_reading import read_blob
from grokprobe.errors import CheckpointError, CorruptCheckpointError


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """Training or test samples."""

    #: Indices into the task's population, int64; None if the samples themselves are stored.
    indices: torch.Tensor | None
    #: Inputs, floating point, one a row; None if indices are stored.
    inputs: torch.Tensor | None
    #: Class of each sample, int64; None if indices are stored.
    targets: torch.Tensor | None

    def __len__(self) -> int:
        held = self.indices if self.indices is not None else self.targets
        return 0 if held is None else len(held)


def read_stored_parts(path: Path) -> tuple[StoredPart, StoredPart]:
    """Returns the training and the test samples of the run in ``path``.

    Raises:
        CheckpointError: it cannot be read, holds no whole run, or its samples are not stored in a known way.
    """
    try:
        is_table = sniff_format(path) is FileFormat.SAFETENSORS
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be opened: {error.strerror or error}") from error
    if is_table:
        return _read_table(path)
    blob = read_blob(path)
    if blob is None:
        raise CheckpointError(f"{path}: expected a file with a whole run and its samples, found another one")
    train, test = (_read_part(blob.attributes.get(name), path) for name in ("train_loader", "test_loader"))
    if train is None or test is None:
        raise CheckpointError(f"{path}: expected indices or tensors in train_loader and test_loader, found others")
    return train, test


def _read_table(path: Path) -> tuple[StoredPart, StoredPart]:
    """Reads samples as ``grokprobe convert`` writes them."""
    try:
        tensors = load_file(path)
        train, test = (
            StoredPart(indices=None, inputs=tensors[f"{name}_inputs"], targets=tensors[f"{name}_targets"])
            for name in ("train", "test")
        )
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise CorruptCheckpointError(f"{path}: expected inputs and targets of two parts, found {error}") from error
    return train, test


def has_stored_parts(attributes: Mapping[str, Any]) -> bool:
    """Says whether samples seem to be stored, without reading them."""
    loaders = [attributes.get(name) for name in ("train_loader", "test_loader")]
    sets = [loader.get("dataset") for loader in loaders if isinstance(loader, dict)]
    return len(sets) == 2 and all(isinstance(held, dict) and held.keys() & {"indices", "tensors"} for held in sets)


def _read_part(loader: Any, path: Path) -> StoredPart | None:
    match loader:
        case {"dataset": {"indices": list(indices)}} if all(type(index) is int and index >= 0 for index in indices):
            numbers = torch.tensor(indices, dtype=torch.int64)
            return StoredPart(indices=numbers, inputs=None, targets=None)
        case {"dataset": {"tensors": [StoredTensor() as inputs, StoredTensor() as targets]}}:
            return _read_tensors(inputs, targets, path)
    return None


def _read_tensors(inputs: StoredTensor, targets: StoredTensor, path: Path) -> StoredPart:
    inputs.check("inputs")
    targets.check("targets")
    given, wanted = inputs.read(), targets.read()
    classes = wanted.argmax(dim=1) if wanted.ndim == 2 else wanted.long()
    if not given.is_floating_point() or len(given) != len(classes) or classes.ndim != 1:
        raise CorruptCheckpointError(
            f"{path}: expected as many targets as inputs, found shapes {tuple(given.shape)} and {tuple(wanted.shape)}"
        )
    return StoredPart(indices=None, inputs=given, targets=classes)
