"""The values written in a pickle, each read in proportion to the file.

What a length claims is believed only if the file is as long; nothing here depends on what was read before.
"""

import os
import re
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, Final

#: A length up to this many bytes is not compared with the rest of the file before it is read.
_SMALL: Final = 1 << 16


class PickleFaultError(ValueError):
    """The bytes are no pickle; says what was found."""


class PickleSource:
    """Reads that take no more memory than the file has bytes."""

    __slots__ = ("_end", "_file", "_read")

    def __init__(self, file: BinaryIO) -> None:
        start = file.tell()
        self._end = file.seek(0, os.SEEK_END)
        self._file = file
        self._read = file.read
        file.seek(start)

    def take(self, count: int) -> bytes:
        """Returns the next ``count`` bytes."""
        if count > _SMALL:
            self.check_left(count)
        taken = self._read(count)
        if len(taken) != count:
            raise PickleFaultError("its end within a value")
        return taken

    def check_left(self, count: int) -> None:
        """Checks that the file has ``count`` more bytes."""
        left = self._end - self._file.tell()
        if count > left:
            raise PickleFaultError(f"a value of {count} bytes where {left} are left")

    def take_counted(self, width: int) -> bytes:
        """Returns as many bytes as a count of ``width`` bytes says, which comes first."""
        return self.take(int.from_bytes(self.take(width), "little"))

    def take_line(self) -> bytes:
        """Returns what comes before the next newline, and goes past it."""
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise PickleFaultError("its end within a line")
        return line[:-1]


_INTEGER: Final = struct.Struct("<i")
_REAL: Final = struct.Struct(">d")


def _take_text(source: PickleSource, width: int) -> str:
    return source.take_counted(width).decode("utf-8", "surrogatepass")


def _take_latin(source: PickleSource, width: int) -> str:
    return source.take_counted(width).decode("latin-1")


def _take_long(source: PickleSource, width: int) -> int:
    return int.from_bytes(source.take_counted(width), "little", signed=True)


def _take_integer_line(source: PickleSource) -> int:
    line = source.take_line()
    return line == b"01" if line in {b"00", b"01"} else int(line)


#: Escapes that Python 2 wrote in a quoted string → the characters.
_ESCAPES: Final = {b"\\": b"\\", b"'": b"'", b'"': b'"', b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _take_quoted_line(source: PickleSource) -> str:
    line = source.take_line().strip()
    if len(line) < 2 or line[:1] not in {b"'", b'"'} or line[-1:] != line[:1]:
        raise PickleFaultError("a string without quotes")
    parts = re.split(rb"\\(x[0-9a-fA-F]{2}|.|$)", line[1:-1])
    for k in range(1, len(parts), 2):
        escape = parts[k]
        if len(escape) != 3 and escape not in _ESCAPES:
            raise PickleFaultError("a string with an unknown escape")
        parts[k] = bytes([int(escape[1:], 16)]) if len(escape) == 3 else _ESCAPES[escape]
    return b"".join(parts).decode("latin-1")


#: Operation that pushes a value → how the value is read.
VALUES: Final[dict[bytes, Callable[[PickleSource], Any]]] = {
    b"N": lambda _: None,
    b"\x88": lambda _: True,
    b"\x89": lambda _: False,
    b"I": _take_integer_line,
    b"L": lambda source: int(source.take_line().removesuffix(b"L")),
    b"J": lambda source: _INTEGER.unpack(source.take(4))[0],
    b"K": lambda source: source.take(1)[0],
    b"M": lambda source: int.from_bytes(source.take(2), "little"),
    b"\x8a": partial(_take_long, width=1),
    b"\x8b": partial(_take_long, width=4),
    b"F": lambda source: float(source.take_line()),
    b"G": lambda source: _REAL.unpack(source.take(8))[0],
    b"S": _take_quoted_line,
    b"U": partial(_take_latin, width=1),
    b"T": partial(_take_latin, width=4),
    b"V": lambda source: source.take_line().decode("raw-unicode-escape"),
    b"\x8c": partial(_take_text, width=1),
    b"X": partial(_take_text, width=4),
    b"\x8d": partial(_take_text, width=8),
    b"C": partial(PickleSource.take_counted, width=1),
    b"B": partial(PickleSource.take_counted, width=4),
    b"\x8e": partial(PickleSource.take_counted, width=8),
    b"\x96": lambda source: bytearray(source.take_counted(8)),
    b"]": lambda _: [],
    b"}": lambda _: {},
    b")": lambda _: (),
}
