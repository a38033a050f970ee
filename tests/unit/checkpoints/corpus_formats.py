"""More files that a stranger might send: archives that lie, tensors of every kind, tables and arrays."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from unit.checkpoints.corpus import GOOD, Call, Writer, archive, header, program, raw, saved
from unit.checkpoints.hostile import members_of, write_archive

WEIGHT = {"w": torch.ones(2, 3)}
#: The key of the one storage, as it is pickled.
KEY = b"X\x01\0\0\x000"


def stored(content: object = GOOD) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def patched(change: Callable[[bytearray], None]) -> Writer:
    """The archive of a good checkpoint with some bytes of it changed."""

    def write(path: Path, _canary: Path) -> None:
        content = bytearray(stored())
        change(content)
        path.write_bytes(content)

    return write


def _entry(content: bytearray, name: bytes) -> int:
    """The place of a member in the directory of the archive."""
    return content.index(name, content.index(b"PK\x01\x02")) - 46


def _overlap(content: bytearray) -> None:
    first, second = _entry(content, b"archive/data.pkl"), _entry(content, b"archive/byteorder")
    content[second + 42 : second + 46] = content[first + 42 : first + 46]  # both begin at one place


def _wide_sizes(content: bytearray) -> None:
    at = _entry(content, b"archive/data/0")
    content[at + 20 : at + 28] = b"\xff" * 8  # sizes of 2^32 - 1: they stand in an extra field, which is not there


def _before_the_start(content: bytearray) -> None:
    del content[4:200]  # places count from the end, so the first member lies before the first byte


def _many_entries(content: bytearray) -> None:
    end = content.rindex(b"PK\x05\x06")
    content[end + 8 : end + 12] = b"\xff\xff\xff\xff"


def _swapped(path: Path, _canary: Path) -> None:
    members = members_of(
        {"w": torch.arange(3.0), "d": torch.ones(2).double(), "h": torch.tensor([1.5, -2.0]).bfloat16()}
    )
    key = {name: name.rpartition("/")[2] for name in members if "/data/" in name}
    sizes = {"0": 4, "1": 8, "2": 2}
    changed = {
        name: np.frombuffer(content, f"u{sizes[key[name]]}").byteswap().tobytes() if name in key else content
        for name, content in members.items()
    }
    write_archive(path, [(name, b"big" if name.endswith("byteorder") else held) for name, held in changed.items()])


def arrays(behind: bytes = b"", **held: np.ndarray) -> Writer:
    """An archive of numpy."""
    buffer = io.BytesIO()
    np.savez(buffer, **held)
    return raw(buffer.getvalue() + behind)


def members(**held: bytes) -> Writer:
    return lambda path, _canary: write_archive(path, list(held.items()))


def npy(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def _npz_bomb(path: Path, _canary: Path) -> None:
    write_archive(path, [("w.npy", npy(np.zeros(5_000_000)))], zipfile.ZIP_DEFLATED)


def _many_names(path: Path, _canary: Path) -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    text = json.dumps({str(k): entry for k in range(100_000)}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def _many_tensors(path: Path, _canary: Path) -> None:
    parts = [b"\x80\x02}("]
    parts += [b"X\x07\0\0\0%07dctorch._utils\n_rebuild_tensor_v2\n)R" % k for k in range(800_000)]
    path.write_bytes(b"".join([*parts, b"u."]))


def _nested() -> torch.Tensor:
    return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.strided)


#: Name → (how it is made, how it ends: ``read``, ``skipped``, ``corrupt`` or ``unsafe``).
CASES: dict[str, tuple[Writer, str]] = {
    "extension of two bytes": (program("\x83\x01\x00."), "unsafe"),
    "800 000 tensors": (_many_tensors, "unsafe"),
    "a tensor by a class of its own": (
        program("ctorch._utils\n_rebuild_wrapper_subclass\n(cos\nsystem\nctorch\nfloat32\ntR."),
        "skipped",
    ),
    "key of a storage that leads elsewhere": (
        archive(lambda m: [(name, held.replace(KEY, b"X\x0c\0\0\x00../../../etc")) for name, held in m.items()]),
        "corrupt",
    ),
    "members at one place": (patched(_overlap), "corrupt"),
    "sizes of an archive of 64 bits that are not there": (patched(_wide_sizes), "unsafe"),
    "member before the first byte": (patched(_before_the_start), "corrupt"),
    "more entries than there are": (patched(_many_entries), "read"),
    "archive behind other bytes": (raw(b"#!/bin/sh\n" * 3 + stored()), "skipped"),
    "archive within an archive": (archive(lambda m: [*m.items(), ("archive/extra.zip", stored())]), "read"),
    "archive of safetensors": (members(**{"model.safetensors": save(WEIGHT)}), "skipped"),
    "bytes swapped": (_swapped, "read"),
    "float8": (saved(lambda _c: {"w": torch.ones(3).to(torch.float8_e4m3fn)}), "read"),
    "complex alone": (saved(lambda _c: {"w": torch.ones(3) * 1j}), "skipped"),
    "sparse beside dense": (saved(lambda _c: WEIGHT | {"s": torch.eye(3).to_sparse()}), "read"),
    "sparse rows": (saved(lambda _c: {"s": torch.eye(3).to_sparse_csr()}), "skipped"),
    "quantized": (
        saved(lambda _c: WEIGHT | {"q": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)}), "read",
    ),
    "nested tensor": (saved(lambda _c: WEIGHT | {"n": _nested()}), "read"),
    "meta beside values": (saved(lambda _c: WEIGHT | {"m": torch.ones(2, device="meta")}), "read"),
    "views of one storage": (
        saved(lambda _c: dict(zip("abc", torch.arange(12.0).reshape(3, 4).unbind(1)[:3], strict=True))), "read",
    ),
    "safetensors with one name twice": (
        header(
            '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
        ),
        "read",
    ),
    "safetensors with odd names": (
        raw(save({"../x": torch.ones(1), "": torch.ones(1), "a\0b\n": torch.ones(1), "n" * 300: torch.ones(1)})),
        "read",
    ),
    "safetensors of booleans that are none": (
        header('{"b":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]}}', b"\x02\xff\x00\x01"), "skipped",
    ),
    "safetensors of an unknown type": (header('{"b":{"dtype":"F3","shape":[4],"data_offsets":[0,16]}}'), "corrupt"),
    "safetensors with a negative shape": (
        header('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', b"\0" * 4), "corrupt",
    ),
    "safetensors with 100 000 tensors": (_many_names, "read"),
    "safetensors with an epoch that is none": (raw(save(WEIGHT, metadata={"epoch": "1e9", "step": "-1"})), "read"),
    "npz of objects": (members(**{"w.npy": npy(np.array([{}], dtype=object), allow_pickle=True)}), "skipped"),
    "npz of objects beside numbers": (
        members(**{"w.npy": npy(np.ones(2)), "o.npy": npy(np.array([{}], dtype=object), allow_pickle=True)}), "read",
    ),
    "npz in columns": (arrays(w=np.asfortranarray(np.ones((2, 3)))), "read"),
    "npz of records": (arrays(w=np.ones(2, dtype=[("a", "f4"), ("b", "f8")])), "skipped"),
    "npz of long doubles": (arrays(w=np.ones(2, dtype=np.longdouble)), "skipped"),
    "npz of the other byte order": (arrays(w=np.ones(2, dtype=">f4")), "read"),
    "npz bomb": (_npz_bomb, "unsafe"),
    "npz with bytes behind": (arrays(b"x" * 70_000, w=np.ones(2)), "corrupt"),
    "npy of objects": (raw(npy(np.array([Call(int)], dtype=object), allow_pickle=True)), "skipped"),
    "a pickled array of objects": (raw(pickle.dumps({"w": np.array([{}], dtype=object)})), "unsafe"),
}  # fmt: skip
