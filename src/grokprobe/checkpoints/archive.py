"""The structure of a torch zip archive, checked before any parser of its content runs.

``torch.save`` stores and never compresses, so the check is exact: every member stored, sizes equal, their sum no more
than the file. That ends decompression bombs, and archives that two readers would read in two ways.
"""

import struct
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

from grokprobe.errors import CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError

_PICKLE_MEMBER: Final = "data.pkl"
#: What ends each refusal: what has not happened, and what helps.
REFUSAL_ADVICE: Final = (
    "nothing in it was executed; save it again as torch.save(model.state_dict(), ...) or as safetensors"
)


def check_archive(path: Path) -> None:
    """Checks that the zip at ``path`` is built as ``torch.save`` builds it.

    Raises:
        CorruptCheckpointError: it cannot be opened as a zip archive: truncated or damaged.
        NotACheckpointError: an intact zip that ``torch.save`` did not write.
        UnsafeCheckpointError: compressed or overlapping members, duplicate or escaping names, or a TorchScript
            program.
    """
    members = _list_members(path)
    names = [member.filename for member in members]
    pickles = [name for name in names if PurePosixPath(name).name == _PICKLE_MEMBER]
    if not pickles:
        raise NotACheckpointError(
            f"{path}: expected a checkpoint, found a zip archive that torch.save did not write ({len(names)} members)"
        )
    if any(_is_program(name) for name in names):
        raise UnsafeCheckpointError(f"{path}: expected parameters, found a TorchScript program: {REFUSAL_ADVICE}")
    fault = _find_fault(members, pickles, path.stat().st_size)
    if fault:
        raise UnsafeCheckpointError(
            f"{path}: expected an archive as torch.save writes it, found {fault}: {REFUSAL_ADVICE}"
        )


def read_pickle_member(path: Path) -> bytes:
    """Returns the bytes of ``data.pkl`` of an archive that passed :func:`check_archive`."""
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if PurePosixPath(name).name == _PICKLE_MEMBER)
        return archive.read(name)


def _list_members(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, EOFError) as error:
        raise CorruptCheckpointError(f"{path}: a truncated or damaged zip archive ({error})") from error


def _is_program(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return parts[-1:] == ("constants.pkl",) or "code" in parts[1:-1]


def _find_fault(members: list[zipfile.ZipInfo], pickles: list[str], file_size: int) -> str:
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            return f"the compressed member {member.filename!r} ({member.file_size} bytes out of {member.compress_size})"
        name = PurePosixPath(member.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
            return f"a member that points outside the archive ({member.filename!r})"
    if len(pickles) > 1:
        return f"{len(pickles)} members named {_PICKLE_MEMBER}"
    if len({member.filename for member in members}) < len(members):
        return "two members of one name"
    total = sum(member.file_size for member in members)
    if total > file_size:
        return f"members of {total} bytes in a file of {file_size}"
    return ""
