"""Named parameters out of one file, without executing anything in it.

Each rung refuses rather than falling back to a less safe one: format by content, structure of the archive, torch's
allow-list unpickler, sizes that the file can keep. No argument turns any of them off.
"""

import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open

from grokprobe.checkpoints.archive import REFUSAL_ADVICE, check_archive, read_pickle_member
from grokprobe.checkpoints.formats import (
    NUM_LEGACY_PICKLES,
    FileFormat,
    is_torch_legacy,
    list_pickle_globals,
    sniff_format,
)
from grokprobe.checkpoints.state_dict import (
    EPOCH_KEYS,
    STEP_KEYS,
    find_state_dict,
    read_position,
    split_tensors,
)
from grokprobe.errors import CheckpointError, CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError

#: How torch's allow-list unpickler names what it refuses.
_REFUSED_GLOBAL: Final = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")
_HARMLESS_GLOBAL: Final = re.compile(
    r"collections\.OrderedDict|torch\._utils\._rebuild_\w+|torch\.\w+Storage|torch\.\w+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointContent:
    """What one file holds. The tensors are mapped from the file where the format allows: they are valid while it is."""

    #: Every floating-point tensor by the file's own name, in the file's order.
    parameters: Mapping[str, torch.Tensor]
    #: Names of the tensors of other types (integer, boolean, complex, sparse).
    other_tensors: tuple[str, ...]
    #: The file's own ``epoch``, else None.
    epoch: int | None
    #: The file's own ``global_step`` or ``step``, else None.
    step: int | None
    #: ``"torch"`` or ``"safetensors"``.
    format: str
    #: Dotted key the state dict was found under; empty if the file is the state dict itself.
    wrapper: str


def read_checkpoint(path: Path, *, state_dict_key: str = "") -> CheckpointContent:
    """Reads the named parameters of one file.

    Args:
        path: a file written by ``torch.save`` (any age) or safetensors.
        state_dict_key: where in a torch file the state dict is, if it is not to be looked for; dots go down a level.
            A safetensors file has no levels and ignores it.

    Raises:
        NotACheckpointError: intact, but no named parameters; the message says what it is.
        CorruptCheckpointError: truncated or damaged.
        UnsafeCheckpointError: reading it would need to execute something, or to believe sizes it lies about.
        CheckpointError: the file cannot be opened.
    """
    try:
        match sniff_format(path):
            case FileFormat.TORCH_ZIP:
                check_archive(path)
                return _unwrap(_load_torch(path, is_zip=True), path, state_dict_key)
            case FileFormat.PICKLE:
                return _unwrap(_load_torch(path, is_zip=False), path, state_dict_key)
            case FileFormat.SAFETENSORS:
                return _read_safetensors(path)
            case FileFormat.EMPTY:
                raise CorruptCheckpointError(f"{path}: expected a checkpoint, found an empty file")
            case FileFormat.UNKNOWN:
                raise NotACheckpointError(f"{path}: not a checkpoint (neither torch nor safetensors by its content)")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be opened: {error.strerror or error}") from error


def _unwrap(content: object, path: Path, state_dict_key: str) -> CheckpointContent:
    found = find_state_dict(content, path, state_dict_key)
    parameters, others = split_tensors(found.entries, path)
    return CheckpointContent(
        parameters=parameters,
        other_tensors=others,
        epoch=read_position(found.scopes, EPOCH_KEYS),
        step=read_position(found.scopes, STEP_KEYS),
        format="torch",
        wrapper=found.wrapper,
    )


def _load_torch(path: Path, *, is_zip: bool) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickle protocols that it refuses a moment later
            # a mapping is private: writing to a tensor never reaches the file
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=is_zip)
    except OSError:
        raise
    except Exception as error:  # a damaged or hostile pickle can raise anything
        raise _explain(error, path, is_zip=is_zip) from error


def _explain(error: Exception, path: Path, *, is_zip: bool) -> CheckpointError:
    """Returns what ``error`` of torch's reader says about the file: damaged, refused or foreign."""
    is_torch = is_zip or is_torch_legacy(path)
    try:
        with io.BytesIO(read_pickle_member(path)) if is_zip else path.open("rb") as file:
            globals_ = list_pickle_globals(file, NUM_LEGACY_PICKLES if is_torch and not is_zip else 1)
    except (ValueError, RecursionError, OverflowError, zipfile.BadZipFile):
        return CorruptCheckpointError(f"{path}: truncated or damaged: its pickle breaks off")
    if not is_torch and not globals_:
        return NotACheckpointError(f"{path}: expected named parameters, found a pickle that torch.save did not write")
    if isinstance(error, pickle.UnpicklingError):
        refused = _REFUSED_GLOBAL.search(str(error))
        suspects = [name for name in globals_ if not _HARMLESS_GLOBAL.fullmatch(name)]
        name = refused[1] if refused else next(iter(suspects), "")
        what = f"it needs {name}" if name else "it uses pickle instructions that are not followed"
        return UnsafeCheckpointError(f"{path}: refused as unsafe, {what}: {REFUSAL_ADVICE}")
    if not is_torch:
        return NotACheckpointError(f"{path}: expected named parameters, found a pickle that torch.save did not write")
    reason = str(error).strip().split("\n", maxsplit=1)[0][:120] or type(error).__name__
    return CorruptCheckpointError(f"{path}: truncated or damaged ({reason})")


def _read_safetensors(path: Path) -> CheckpointContent:
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
            metadata = file.metadata() or {}
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptCheckpointError(f"{path}: truncated or damaged safetensors file ({error})") from error
    parameters, others = split_tensors(tensors, path)
    if not parameters:
        raise NotACheckpointError(f"{path}: expected named parameters, found no floating-point tensor")
    return CheckpointContent(
        parameters=parameters,
        other_tensors=others,
        epoch=_metadata_position(metadata, EPOCH_KEYS),
        step=_metadata_position(metadata, STEP_KEYS),
        format="safetensors",
        wrapper="",
    )


def _metadata_position(metadata: Mapping[str, str], keys: tuple[str, ...]) -> int | None:
    numbers = {key: int(metadata[key]) for key in keys if re.fullmatch(r"[0-9]{1,18}", metadata.get(key, ""))}
    return read_position((numbers,), keys)
