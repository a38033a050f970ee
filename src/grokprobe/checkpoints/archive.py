"""The structure of a torch zip archive, checked before any parser of its content runs.

``torch.save`` stores and never compresses, so the check is exact: every member stored, sizes equal, their sum no more
than the file. That ends decompression bombs, and archives that two readers would read in two ways.
"""

import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

from grokprobe.errors import CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError

_PICKLE_MEMBER: Final = "data.pkl"
_BYTE_ORDER_MEMBER: Final = "byteorder"
#: What stands before a member: signature, versions, checksum and sizes, then the lengths of its name and extra field.
_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")
#: What ends each refusal: what has not happened, and what helps.
REFUSAL_ADVICE: Final = (
    "nothing in it was executed; save it again as torch.save(model.state_dict(), ...) or as safetensors"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The part of a file in which an archive lies: the whole of it, or a slice."""

    path: Path
    #: First byte.
    start: int = 0
    #: Number of bytes; None for all that follow.
    length: int | None = None

    def open(self) -> BinaryIO:
        """Opens the section as a file of its own."""
        file = self.path.open("rb")
        if self.start == 0 and self.length is None:
            return file
        return io.BufferedReader(_Slice(file, self.start, self.size()))

    def size(self) -> int:
        """Returns its number of bytes."""
        return self.path.stat().st_size - self.start if self.length is None else self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What is read of an archive before any tensor."""

    #: The member ``data.pkl``.
    pickled: bytes
    #: The member ``byteorder``; empty if there is none.
    byte_order: bytes
    #: Key of a storage → (offset in the file, number of bytes).
    places: Mapping[str, tuple[int, int]]


def check_archive(section: Section) -> None:
    """Checks that a zip archive is built as ``torch.save`` builds it.

    Raises:
        CorruptCheckpointError: it cannot be opened as a zip archive: truncated or damaged.
        NotACheckpointError: an intact zip that ``torch.save`` did not write.
        UnsafeCheckpointError: compressed or overlapping members, duplicate or escaping names, or a TorchScript
            program.
    """
    path, members = section.path, _list_members(section)
    names = [member.filename for member in members]
    pickles = [name for name in names if PurePosixPath(name).name == _PICKLE_MEMBER]
    if not pickles:
        raise NotACheckpointError(
            f"{path}: expected a checkpoint, found a zip archive that torch.save did not write ({len(names)} members)"
        )
    if any(_is_program(name) for name in names):
        raise UnsafeCheckpointError(f"{path}: expected parameters, found a TorchScript program: {REFUSAL_ADVICE}")
    fault = _find_fault(members, pickles, section.size())
    if fault:
        raise UnsafeCheckpointError(
            f"{path}: expected an archive as torch.save writes it, found {fault}: {REFUSAL_ADVICE}"
        )


def read_archive(section: Section) -> Archive:
    """Returns the pickle of an archive that passed :func:`check_archive`, and where its storages lie.

    Raises:
        CorruptCheckpointError: damaged within; a member that is not where the archive says, or ends behind it.
    """
    try:
        with section.open() as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            root = next(m.filename for m in members if PurePosixPath(m.filename).name == _PICKLE_MEMBER)
            prefix = root.removesuffix(_PICKLE_MEMBER)
            pickled = archive.read(root)
            order = prefix + _BYTE_ORDER_MEMBER
            byte_order = archive.read(order) if order in archive.namelist() else b""
            storages = [member for member in members if member.filename.startswith(f"{prefix}data/")]
            places = {
                member.filename.removeprefix(f"{prefix}data/"): (
                    section.start + _find_content(member, file, section.size()),
                    member.file_size,
                )
                for member in storages
            }
            return Archive(pickled=pickled, byte_order=byte_order, places=places)
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError) as error:
        raise CorruptCheckpointError(
            f"{section.path}: truncated or damaged: a member cannot be read ({error})"
        ) from error


def _find_content(member: zipfile.ZipInfo, file: BinaryIO, size: int) -> int:
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise zipfile.BadZipFile(f"no member at byte {member.header_offset}")
    *_, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    offset = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    if offset + member.file_size > size:
        raise zipfile.BadZipFile(f"member {member.filename[:40]!r} ends behind the file")
    return offset


class _Slice(io.RawIOBase):
    """Part of a file, read as if it were all of it."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self._file, self._start, self._length, self._at = file, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        at = offset + (0, self._at, self._length)[whence]
        if at < 0:
            raise ValueError("a place before the file")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + min(self._at, self._length))
        content = self._file.read(max(0, min(len(buffer), self._length - self._at)))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()


def _list_members(section: Section) -> list[zipfile.ZipInfo]:
    try:
        with section.open() as file, zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, EOFError) as error:
        raise CorruptCheckpointError(f"{section.path}: a truncated or damaged zip archive ({error})") from error


def _is_program(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return parts[-1:] == ("constants.pkl",) or "code" in parts[1:-1]


def _find_fault(members: list[zipfile.ZipInfo], pickles: list[str], file_size: int) -> str:
    for member in members:
        if fault := _find_member_fault(member):
            return fault
    if len(pickles) > 1:
        return f"{len(pickles)} members named {_PICKLE_MEMBER}"
    if len({member.filename for member in members}) < len(members):
        return "two members of one name"
    total = sum(member.file_size for member in members)
    if total > file_size:
        return f"members of {total} bytes in a file of {file_size}"
    return ""


def _find_member_fault(member: zipfile.ZipInfo) -> str:
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        return f"the compressed member {member.filename!r} ({member.file_size} bytes out of {member.compress_size})"
    if member.flag_bits & 1:
        return f"the encrypted member {member.filename!r}"
    name = PurePosixPath(member.filename)
    if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
        return f"a member that points outside the archive ({member.filename!r})"
    return ""
