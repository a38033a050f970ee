"""Files that a stranger might send: hostile, broken or only odd. Made here; run, one would touch a canary at most."""

import codecs
import copyreg
import functools
import io
import operator
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from grokprobe.checkpoints.formats import TORCH_LEGACY_MAGIC
from unit.checkpoints.hostile import Touch, members_of, write_archive

#: A case: writes to a path, with a canary that nothing may touch.
Writer = Callable[[Path, Path], None]
GOOD = {"model": {"w": torch.arange(6.0).reshape(2, 3)}, "epoch": 1}


class Call:
    """What an ordinary reader would make by a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


class Built:
    """What an ordinary reader would make and then give a state."""

    def __init__(self, maker: Any, arguments: tuple[Any, ...], state: Any) -> None:
        self.call = maker, arguments, state

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


class Entries(dict[Any, Any]):
    def __setitem__(self, key: Any, value: Any) -> None:
        raise AssertionError("executed")


def pickled(build: Callable[[Path], Any], protocol: int = 2) -> Writer:
    """A pickle of what ``build`` makes of the canary."""
    return lambda path, canary: _write(path, pickle.dumps(build(canary), protocol=protocol))


def raw(content: bytes) -> Writer:
    return lambda path, _canary: _write(path, content)


def program(code: str, protocol: bytes = b"\x80\x04") -> Writer:
    """A pickle program with ``{canary}`` for the path of the canary."""
    return lambda path, canary: _write(path, protocol + code.replace("{canary}", str(canary)).encode("latin-1"))


def saved(build: Callable[[Path], Any], **options: Any) -> Writer:
    """A file of ``torch.save``."""
    return lambda path, canary: torch.save(build(canary), path, **options)


def archive(change: Callable[[dict[str, bytes]], list[tuple[str, bytes]]], compression: int = 0) -> Writer:
    """The archive of a good checkpoint, changed."""
    return lambda path, _canary: write_archive(path, change(members_of(GOOD)), compression)


def table(change: Callable[[bytes], bytes]) -> Writer:
    """A safetensors file, changed."""
    return raw(change(save({"w": torch.ones(2, 2)}, metadata={"epoch": "1"})))


def header(text: str, data: bytes = b"\0" * 16) -> Writer:
    """A safetensors file with this header."""
    return raw(struct.pack("<Q", len(text.encode())) + text.encode() + data)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _nest(depth: int) -> bytes:
    return b"\x80\x04" + b"(" * depth + b"l" * depth + b"."


def _laughs(depth: int) -> Any:
    shared: Any = [1]
    for _ in range(depth):
        shared = [shared, shared]
    return shared


def _bomb(path: Path, _canary: Path) -> None:
    write_archive(path, list(members_of({"w": torch.zeros(1_000_000)}).items()), zipfile.ZIP_DEFLATED)


def _renamed(members: dict[str, bytes], old: str, new: str) -> list[tuple[str, bytes]]:
    return [(name.replace(old, new), content) for name, content in members.items()]


def _zip_lie(path: Path, _canary: Path) -> None:
    buffer = io.BytesIO()
    torch.save(GOOD, buffer)
    content = bytearray(buffer.getvalue())
    start = content.index(b"archive/data/0", content.index(b"PK\x01\x02")) - 46  # its entry claims another place
    content[start + 42 : start + 46] = struct.pack("<I", 2**31)
    _write(path, bytes(content))


def _encrypted(path: Path, _canary: Path) -> None:
    buffer = io.BytesIO()
    torch.save(GOOD, buffer)
    content = bytearray(buffer.getvalue())
    for k in range(len(content) - 4):
        if content[k : k + 4] == b"PK\x01\x02":
            content[k + 8] |= 1
    _write(path, bytes(content))


def _bad_checksum(path: Path, _canary: Path) -> None:
    buffer = io.BytesIO()
    torch.save(GOOD | {"note": "a" * 40}, buffer)
    _write(path, buffer.getvalue().replace(b"a" * 40, b"b" * 40))


#: Name → (how it is made, how it ends: ``read``, ``skipped``, ``corrupt`` or ``unsafe``).
CASES: dict[str, tuple[Writer, str]] = {
    **{f"os.system, protocol {n}": (pickled(Touch, n), "unsafe") for n in range(6)},
    "os.system by STACK_GLOBAL": (program("\x8c\x05posix\x8c\x06system\x93\x8c\x07touch x\x85R."), "unsafe"),
    "getattr chain": (pickled(lambda _c: Call(getattr, Call(__import__, "os"), "system")), "unsafe"),
    "eval": (pickled(lambda c: Call(eval, f"open({str(c)!r}, 'w')")), "unsafe"),
    "exec": (pickled(lambda c: Call(exec, f"open({str(c)!r}, 'w')")), "unsafe"),
    "torch.hub.load": (program("ctorch.hub\nload\n(S'a/b'\nS'c'\ntR.", b""), "unsafe"),
    "torch.load": (program("ctorch\nload\n(S'a'\ntR.", b""), "unsafe"),
    "pip.main": (program("cpip\nmain\n((S'install'\nS'x'\nltR.", b""), "unsafe"),
    "a name without end": (
        lambda p, _c: _write(
            p,
            TORCH_LEGACY_MAGIC
            + b"\x80\x02M\xe9\x03.\x80\x02}(X\r\0\0\0little_endian\x88u.\x80\x02c"
            + b"x.GLOBAL " * 30_000
            + b"\nf\n)R.\x80\x02].",
        ),
        "unsafe",
    ),
    "a name of several lines": (program("\x8c\x03a\nb\x8c\x01c\x93)R."), "unsafe"),
    "functools.partial": (pickled(lambda c: functools.partial(os.system, f"touch {c}")), "unsafe"),
    "operator.attrgetter": (pickled(lambda _c: Call(operator.attrgetter, "system")), "unsafe"),
    "codecs": (pickled(lambda _c: Call(codecs.decode, "61", "hex")), "unsafe"),
    "copyreg extension": (program("\x82\x01."), "unsafe"),
    "wide extension": (program("\x84\x01\x00\x00\x00."), "unsafe"),
    "hostile state": (
        pickled(lambda c: Built(copyreg._reconstructor, (Call, object, None), {"__dict__": Touch(c)})),
        "unsafe",
    ),
    "hostile slots": (
        pickled(lambda c: Built(copyreg._reconstructor, (Call, object, None), (None, {"__class__": Touch(c)}))),
        "unsafe",
    ),
    "dict subclass": (pickled(lambda _c: Entries(a=1)), "unsafe"),
    "INST": (program("(S'touch x'\nios\nsystem\n.", b""), "unsafe"),
    "OBJ": (program("(cos\nsystem\nS'touch x'\no."), "unsafe"),
    "persistent id without a file": (program("Pmissing\n."), "unsafe"),
    "persistent id of another form": (
        lambda p, _c: write_archive(p, [("a/data.pkl", b"\x80\x02X\1\0\0\0xQ.")]),
        "corrupt",
    ),
    "storage of another class": (
        lambda p, _c: write_archive(
            p, [("a/data.pkl", b"\x80\x02(X\7\0\0\0storagecos\nsystem\nX\1\0\0\x000X\3\0\0\0cpuK\1tQ.")]
        ),
        "corrupt",
    ),
    "memo confusion": (program("\x8c\x01a\x94\x8c\x01bq\x00h\x00."), "skipped"),
    "memo that is not there": (program("h\x07."), "corrupt"),
    "huge memo index": (program("Nr\xff\xff\xff\x7fj\xff\xff\xff\x7f."), "skipped"),
    "text past the end": (program("X\xff\xff\xff\x7fabc"), "corrupt"),
    "bytes past the end": (program("\x8e\xff\xff\xff\xff\xff\xff\xff\x0fabc"), "corrupt"),
    "frame past the end": (program("\x95\xff\xff\xff\xff\xff\xff\xff\x0fN."), "corrupt"),
    "200 000 lists deep": (raw(_nest(200_000)), "skipped"),
    "billion laughs": (pickled(lambda _c: _laughs(100)), "skipped"),
    "no STOP": (program("]"), "corrupt"),
    "bytes after STOP": (lambda p, _c: _write(p, pickle.dumps({"w": 1}) + b"junk"), "skipped"),
    "protocol 9": (raw(b"\x80\x09N."), "skipped"),
    "magic of torch and no more": (raw(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."), "corrupt"),
    "a million operations and more": (program("N0" * 1_600_000 + "N."), "unsafe"),
    "zip bomb": (_bomb, "unsafe"),
    "duplicate names": (archive(lambda m: [*m.items(), list(m.items())[-1]]), "unsafe"),
    "two pickles": (archive(lambda m: [*m.items(), ("b/data.pkl", b"N.")]), "unsafe"),
    "absolute name": (archive(lambda m: [*m.items(), ("/etc/x", b"")]), "unsafe"),
    "escaping name": (archive(lambda m: [*m.items(), ("archive/../../x", b"")]), "unsafe"),
    "backslash": (archive(lambda m: [*m.items(), ("archive\\x", b"")]), "unsafe"),
    "program of TorchScript": (archive(lambda m: [*m.items(), ("archive/code/x.py", b"")]), "unsafe"),
    "encrypted": (_encrypted, "unsafe"),
    "place that lies": (_zip_lie, "corrupt"),
    "bad checksum": (_bad_checksum, "corrupt"),
    "storage missing": (archive(lambda m: _renamed(m, "data/0", "data/9")), "corrupt"),
    "storage too short": (
        archive(lambda m: [(n, c[:-4] if n.endswith("data/0") else c) for n, c in m.items()]),
        "corrupt",
    ),
    "big-endian without a swap": (
        archive(lambda m: [(n, b"big" if n.endswith("byteorder") else c) for n, c in m.items()]),
        "read",
    ),
    "document": (archive(lambda _m: [("word/document.xml", b"<a/>")]), "skipped"),
    "empty archive": (raw(b"PK\x05\x06" + b"\0" * 18), "skipped"),
    "code beside parameters": (saved(lambda c: GOOD | {"args": Touch(c)}), "read"),
    "code beside parameters, legacy": (
        saved(lambda c: GOOD | {"args": Touch(c)}, _use_new_zipfile_serialization=False),
        "read",
    ),
    "code instead of parameters": (saved(lambda c: {"model": Touch(c)}), "unsafe"),
    "expanded tensor": (saved(lambda _c: {"w": torch.ones(1).expand(10**12)}), "unsafe"),
    "meta tensor": (saved(lambda _c: {"w": torch.ones(3, device="meta")}), "corrupt"),
    "optimizer only": (
        saved(lambda _c: torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0).state_dict()),
        "skipped",
    ),
    "NaN and infinity": (saved(lambda _c: {"w": torch.tensor([torch.nan, torch.inf])}), "read"),
    "no elements": (saved(lambda _c: {"w": torch.zeros(0, 3)}), "read"),
    "odd names": (saved(lambda _c: {"../x": torch.ones(1), "": torch.ones(1), "a\0b\n": torch.ones(1)}), "read"),
    "safetensors cut short": (table(lambda content: content[:-1]), "corrupt"),
    "safetensors with bytes behind": (table(lambda content: content + b"x"), "corrupt"),
    "safetensors with overlap": (
        header(
            '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
        ),
        "corrupt",
    ),
    "safetensors with a hole": (header('{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}'), "corrupt"),
    "safetensors of another size": (header('{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}}'), "corrupt"),
    "safetensors with a huge shape": (
        header('{"a":{"dtype":"F32","shape":[0,1152921504606846976],"data_offsets":[0,0]}}', b""),
        "read",
    ),
    "safetensors that is no JSON": (header("{" + "x" * 30), "corrupt"),
    "safetensors that is not UTF-8": (raw(struct.pack("<Q", 12) + b'{"\xff\xfe": 1} '), "corrupt"),
    "header longer than the file": (raw(struct.pack("<Q", 90_000_000) + b"{"), "corrupt"),
    "polyglot of zip and safetensors": (
        lambda p, _c: _write(p, save({"w": torch.ones(1)}) + b"PK\x05\x06" + b"\0" * 18),
        "corrupt",
    ),
    "empty": (raw(b""), "corrupt"),
    "text": (raw(b"lr: 0.1\n"), "skipped"),
    "image": (raw(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "skipped"),
}
