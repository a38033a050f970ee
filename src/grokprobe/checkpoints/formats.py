"""What kind of file it is, by content and never by suffix."""

import pickletools
import struct
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

#: First bytes of what ``torch.save`` wrote before it wrote zip archives: a pickle of torch's magic number.
TORCH_LEGACY_MAGIC: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
#: A torch file of that age holds five pickles one after the other, then the raw storages.
NUM_LEGACY_PICKLES: Final = 5
#: The longest header that the safetensors format allows.
MAX_SAFETENSORS_HEADER: Final = 100_000_000
#: A zip archive with members, and one without.
_ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06")
_GLOBAL_OPCODES: Final = frozenset({"GLOBAL", "INST", "STACK_GLOBAL"})


class FileFormat(StrEnum):
    """The formats that are told apart."""

    TORCH_ZIP = "torch zip"
    PICKLE = "pickle"
    SAFETENSORS = "safetensors"
    EMPTY = "empty"
    UNKNOWN = "unknown"


def sniff_format(path: Path) -> FileFormat:
    """Returns the format that the first bytes of ``path`` announce; whether the rest keeps the promise is open.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        return FileFormat.EMPTY
    if any(magic.startswith(head[:4]) for magic in _ZIP_MAGICS):
        return FileFormat.TORCH_ZIP
    if _is_safetensors(head):
        return FileFormat.SAFETENSORS
    if head[:1] == b"\x80" and head[1:2] in {b"", b"\x02", b"\x03", b"\x04", b"\x05"}:
        return FileFormat.PICKLE
    if head[:1] in {b"(", b"c"} and _is_old_pickle(path):
        return FileFormat.PICKLE
    return FileFormat.UNKNOWN


def is_torch_legacy(path: Path) -> bool:
    """Says whether a pickle was written by an old ``torch.save`` (True also if it is cut within the magic number)."""
    with path.open("rb") as file:
        head = file.read(len(TORCH_LEGACY_MAGIC))
    return TORCH_LEGACY_MAGIC.startswith(head)


def list_pickle_globals(file: BinaryIO, num_pickles: int = 1) -> list[str]:
    """Returns the dotted names that the next pickles of ``file`` would import, without importing any.

    Nothing is built: only the opcodes are walked. Names that protocol 4 and later assemble on the stack are taken
    from the two strings written last, which is how every ordinary pickler writes them.

    Raises:
        ValueError: a pickle ends before its STOP opcode, or is no pickle.
    """
    found: list[str] = []
    for _ in range(num_pickles):
        strings = ["?", "?"]
        for opcode, argument, _offset in pickletools.genops(file):
            if opcode.name in {"GLOBAL", "INST"}:
                found.append(str(argument).replace(" ", "."))
            elif opcode.name == "STACK_GLOBAL":
                found.append(".".join(strings))
            elif isinstance(argument, str):
                strings = [strings[-1], argument]
    return list(dict.fromkeys(found))


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
