"""Named parameters out of an ``.npz`` archive of numpy; an array of objects, which would be a pickle, is never read."""

import io
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import torch

from grokprobe.checkpoints.contents import CheckpointContent
from grokprobe.checkpoints.state_dict import EPOCH_KEYS, STEP_KEYS, read_position
from grokprobe.errors import CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError

_SUFFIX: Final = ".npy"
#: A member this much larger than it is in the file, and larger than this many bytes, is taken for a bomb.
_MAX_RATIO: Final = 100
_SMALL: Final = 16 * 2**20
#: Longest header of an array.
_MAX_HEADER: Final = 10_000


def read_numpy_archive(path: Path) -> CheckpointContent:
    """Reads the arrays of floating-point numbers; scalars ``epoch`` and ``step`` or ``global_step`` say the position.

    Raises:
        CorruptCheckpointError: truncated or damaged, or an array that is not as long as it says.
        UnsafeCheckpointError: a member that expands out of proportion, or two of one name.
        NotACheckpointError: no array of floating-point numbers.
    """
    arrays: dict[str, torch.Tensor] = {}
    others: list[str] = []
    positions: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive.infolist(), path)
            for member in archive.infolist():
                name = member.filename.removesuffix(_SUFFIX)
                with archive.open(member) as file:
                    array = _read_array(io.BytesIO(file.read()), name, path)
                if array is None:
                    others.append(name)
                elif array.ndim == 0 and name in {*EPOCH_KEYS, *STEP_KEYS}:
                    positions[name] = array.item()
                elif array.dtype.kind == "f" and array.dtype.itemsize <= _LARGEST_REAL:
                    arrays[name] = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C", copy=True))
                else:
                    others.append(name)
    except _DAMAGES as error:
        raise CorruptCheckpointError(f"{path}: a truncated or damaged archive of arrays ({error})") from error
    if not arrays:
        raise NotACheckpointError(f"{path}: expected named parameters, found no array of floating-point numbers")
    return CheckpointContent(
        parameters=arrays,
        other_tensors=tuple(others),
        epoch=read_position((positions,), EPOCH_KEYS),
        step=read_position((positions,), STEP_KEYS),
        format="numpy",
        wrapper="",
    )


#: What zipfile raises for a damaged archive: also for names that are no UTF-8 and sizes that no machine has.
_DAMAGES: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)
#: Bytes of the largest type that torch has.
_LARGEST_REAL: Final = 8


def _check_members(members: list[zipfile.ZipInfo], path: Path) -> None:
    for member in members:
        if member.file_size > max(_SMALL, _MAX_RATIO * member.compress_size):
            raise UnsafeCheckpointError(
                f"{path}: expected arrays, found {member.filename[:60]!r} of {member.file_size} bytes out of"
                f" {member.compress_size}; it was not expanded; save it again with numpy.savez"
            )
    if len({member.filename for member in members}) < len(members):
        raise UnsafeCheckpointError(f"{path}: expected arrays, found two members of one name; save it again")


def _read_array(file: BinaryIO, name: str, path: Path) -> np.ndarray | None:
    """Returns the array in ``file``; None if it is one of objects or of several fields."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(file, max_header_size=_MAX_HEADER)
    except ValueError as error:
        reason = str(error).split("\n", maxsplit=1)[0][:80]
        raise CorruptCheckpointError(f"{path}: expected an array under {name[:60]!r}, found {reason}") from error
    if dtype.hasobject or dtype.names is not None or dtype.kind not in "biufc":
        return None
    content = file.read()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content):
        raise CorruptCheckpointError(
            f"{path}: expected as many bytes under {name[:60]!r} as shape {shape!s:.60} of {dtype} has,"
            f" found {len(content)}"
        )
    return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
