"""Named parameters out of what torch or pickle wrote: torch's allow-list unpickler first, then the inert one."""

import functools
import warnings
from pathlib import Path

import torch

from grokprobe.checkpoints.archive import REFUSAL_ADVICE, Section, check_archive
from grokprobe.checkpoints.blobs import Blob, find_blob
from grokprobe.checkpoints.contents import CheckpointContent
from grokprobe.checkpoints.formats import FileFormat, is_torch_legacy, sniff_format
from grokprobe.checkpoints.objects import Unpacked, unpack
from grokprobe.checkpoints.state_dict import (
    EPOCH_KEYS,
    STEP_KEYS,
    find_state_dict,
    read_position,
    split_tensors,
)
from grokprobe.checkpoints.torch_files import inspect_archive, load_pickle
from grokprobe.errors import (
    CheckpointError,
    CorruptCheckpointError,
    NotACheckpointError,
    SeveralCheckpointsError,
    UnsafeCheckpointError,
)


def read_blob(path: Path) -> Blob | None:
    """Returns the whole run that ``path`` holds; None if it holds none.

    Raises:
        CheckpointError: as :func:`read_checkpoint`.
    """
    try:
        file_format = sniff_format(path)
        if file_format not in (FileFormat.TORCH_ZIP, FileFormat.PICKLE):
            return None
        status = path.stat()
        unpacked = _unpack_again(path, file_format is FileFormat.TORCH_ZIP, (status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be opened: {error.strerror or error}") from error
    return find_blob(unpacked.content, path)


def read_torch(path: Path, *, is_zip: bool, state_dict_key: str, member: str) -> CheckpointContent:
    """Reads one file of torch or pickle; the arguments are those of ``read_checkpoint``.

    Raises:
        CheckpointError: as ``read_checkpoint``.
    """
    if member:
        blob = read_blob(path)
        if blob is None:
            raise NotACheckpointError(f"{path}: expected a run with the checkpoint {member!r}, found another file")
        return _read_member(blob, member, path)
    is_torch = is_zip or is_torch_legacy(path)
    unpacked, is_swapped = _unpack(path, is_zip=is_zip)
    # torch's reader is given only what it will not refuse: it takes any time to word a refusal of long names, and it
    # believes the sizes of storages, for which it would take the bytes that follow
    allowed = _load_allowed(path, is_zip=is_zip) if is_torch and not unpacked.unread else None
    if allowed is not None:
        return _unwrap(Unpacked(content=allowed, unread=()), path, state_dict_key, "torch")
    if is_swapped:
        raise CorruptCheckpointError(
            f"{path}: expected numbers in little-endian order, found big-endian; save it again on this machine"
        )
    blob = None if state_dict_key else find_blob(unpacked.content, path)
    if blob is not None:
        raise SeveralCheckpointsError(
            f"{path}: expected one checkpoint, found {len(blob.members)} of one run; analyze the file, or read one of"
            f" them by its name within the file: {', '.join(list(blob.members)[:3])}, …"
        )
    try:
        return _unwrap(unpacked, path, state_dict_key, "torch" if is_torch else "pickle")
    except NotACheckpointError as error:
        if unpacked.unread and not state_dict_key:
            what = f"it needs {unpacked.unread[0]}"
            raise UnsafeCheckpointError(f"{path}: refused as unsafe, {what}: {REFUSAL_ADVICE}") from error
        raise


def _load_allowed(path: Path, *, is_zip: bool) -> object:
    """Returns what torch's own allow-list unpickler reads; None if it refuses, for whatever reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickle protocols that it refuses a moment later
            # a mapping is private: writing to a tensor never reaches the file
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=is_zip)
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - a damaged or hostile pickle can raise anything; the next rung says what it is
        return None


def _unpack(path: Path, *, is_zip: bool) -> tuple[Unpacked, bool]:
    """Returns the content as the inert interpreter reads it, and whether its numbers are in the other byte order."""
    if not is_zip:
        return unpack(load_pickle(path), path), False
    check_archive(Section(path=path))
    content, is_swapped = inspect_archive(Section(path=path))
    return unpack(content, path), is_swapped


@functools.lru_cache(maxsize=1)
def _unpack_again(path: Path, is_zip: bool, stamp: tuple[int, int]) -> Unpacked:
    """Keeps the description of one file, whose checkpoints are read one after the other; no values of tensors."""
    del stamp  # size and time: a file that has changed is read again
    return _unpack(path, is_zip=is_zip)[0]


def _unwrap(unpacked: Unpacked, path: Path, state_dict_key: str, file_format: str) -> CheckpointContent:
    found = find_state_dict(unpacked.content, path, state_dict_key)
    parameters, others = split_tensors(found.entries, path)
    return CheckpointContent(
        parameters=parameters,
        other_tensors=others,
        epoch=read_position(found.scopes, EPOCH_KEYS),
        step=read_position(found.scopes, STEP_KEYS),
        format=file_format,
        wrapper=found.wrapper,
        unread=unpacked.unread,
    )


def _read_member(blob: Blob, name: str, path: Path) -> CheckpointContent:
    member = blob.member(name, path)
    parameters, others = split_tensors(member.entries, path)
    if not parameters:
        raise NotACheckpointError(f"{path}: expected named parameters under {name!r}, found none")
    return CheckpointContent(
        parameters={key: tensor * member.factor for key, tensor in parameters.items()}
        if member.factor != 1.0
        else parameters,
        other_tensors=others,
        epoch=member.epoch,
        step=None,
        format="torch",
        wrapper=name,
    )
