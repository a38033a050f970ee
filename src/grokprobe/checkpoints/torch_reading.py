"""Named parameters out of what torch or pickle wrote, by the inert interpreter: torch itself reads no file."""

import functools
from pathlib import Path

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
from grokprobe.checkpoints.torch_files import load_archive, load_pickle
from grokprobe.errors import (
    CheckpointError,
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
    unpacked = _unpack(path, is_zip=is_zip)
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


def _unpack(path: Path, *, is_zip: bool) -> Unpacked:
    if not is_zip:
        return unpack(load_pickle(path), path)
    check_archive(Section(path=path))
    return unpack(load_archive(Section(path=path)), path)


@functools.lru_cache(maxsize=1)
def _unpack_again(path: Path, is_zip: bool, stamp: tuple[int, int]) -> Unpacked:
    """Keeps the description of one file, whose checkpoints are read one after the other; no values of tensors."""
    del stamp  # size and time: a file that has changed is read again
    return _unpack(path, is_zip=is_zip)


def _unwrap(unpacked: Unpacked, path: Path, state_dict_key: str, file_format: str) -> CheckpointContent:
    found = find_state_dict(unpacked.content, path, state_dict_key)
    parameters, others = split_tensors(found.entries)
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
    parameters, others = split_tensors(member.entries)
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
