"""What kind of file it is, by content and never by suffix."""

import pickletools
import stat
import struct
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import Final

from grokprobe.errors import NotACheckpointError

#: First bytes of what ``torch.save`` wrote before it wrote zip archives: a pickle of torch's magic number.
TORCH_LEGACY_MAGIC: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
#: The longest header that the safetensors format allows.
MAX_SAFETENSORS_HEADER: Final = 100_000_000
#: Name of the file that describes a distributed checkpoint of torch: a hidden one, which names alone tell.
DISTRIBUTED_INDEX: Final = ".metadata"
#: Ending of the files of tensors beside it.
DISTRIBUTED_SUFFIX: Final = ".distcp"
#: End of the name of the file that says which tensor is in which shard; other JSON files have no such content.
SHARD_INDEX_SUFFIX: Final = ".index.json"
_ARRAY_MAGIC: Final = b"\x93NUMPY"
#: A zip archive with members, and one without.
_ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06")
_GLOBAL_OPCODES: Final = frozenset({"GLOBAL", "INST", "STACK_GLOBAL"})


class FileFormat(StrEnum):
    """The formats that are told apart."""

    TORCH_ZIP = "torch zip"
    PICKLE = "pickle"
    SAFETENSORS = "safetensors"
    NUMPY_ARCHIVE = "npz"
    NUMPY_ARRAY = "npy"
    SHARD_INDEX = "index of shards"
    DISTRIBUTED = "torch distributed"
    EMPTY = "empty"
    UNKNOWN = "unknown"


def sniff_format(path: Path) -> FileFormat:
    """Returns the format that the first bytes of ``path`` announce; whether the rest keeps the promise is open.

    Raises:
        NotACheckpointError: a pipe, a socket or a device; it is not opened, which could wait for ever.
        OSError: the file cannot be opened.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise NotACheckpointError(f"{path}: not a regular file")
    with path.open("rb") as file:
        head = file.read(16)
    if path.name == DISTRIBUTED_INDEX:
        return FileFormat.DISTRIBUTED
    if any(head and magic.startswith(head[:4]) for magic in _ZIP_MAGICS):
        return FileFormat.NUMPY_ARCHIVE if _holds_arrays(path) else FileFormat.TORCH_ZIP
    if head[:1] == b"{" and path.name.endswith(SHARD_INDEX_SUFFIX):
        return FileFormat.SHARD_INDEX
    if head[:1] in {b"(", b"c"} and _is_old_pickle(path):
        return FileFormat.PICKLE
    return _sniff_head(head)


def _sniff_head(head: bytes) -> FileFormat:
    if not head:
        return FileFormat.EMPTY
    if head.startswith(_ARRAY_MAGIC):
        return FileFormat.NUMPY_ARRAY
    if _is_safetensors(head):
        return FileFormat.SAFETENSORS
    if head[:1] == b"\x80" and head[1:2] in {b"", b"\x02", b"\x03", b"\x04", b"\x05"}:
        return FileFormat.PICKLE
    return FileFormat.UNKNOWN


def is_torch_legacy(path: Path) -> bool:
    """Says whether a pickle was written by an old ``torch.save`` (True also if it is cut within the magic number)."""
    with path.open("rb") as file:
        head = file.read(len(TORCH_LEGACY_MAGIC))
    return TORCH_LEGACY_MAGIC.startswith(head)


def _holds_arrays(path: Path) -> bool:
    """Says whether every member of a zip archive is named as an array of numpy; a damaged archive is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error, EOFError):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _is_safetensors(head: bytes) -> bool:
    if len(head) < 9 or head[8:9] != b"{":
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return 2 <= length <= MAX_SAFETENSORS_HEADER


def _is_old_pickle(path: Path) -> bool:
    """Protocols 0 and 1 have no magic: unlike text, they can be walked to a STOP and import something on the way."""
    with path.open("rb") as file:
        try:
            return any([opcode.name in _GLOBAL_OPCODES for opcode, _, _ in pickletools.genops(file)])  # noqa: C419 - to the STOP
        except (ValueError, RecursionError, OverflowError):
            return False
