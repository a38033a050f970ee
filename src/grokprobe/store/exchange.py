"""The two forms of a store: files of a directory, and keys of a repository in an object store.

The keys are the files, byte for byte, but for two things. A repository needs no consolidated metadata: each of its
commits is whole. And it takes nothing that is no part of a zarr hierarchy, so what else has to travel, the ledger above
all, is there the content of one array in a group of its own, ``.grokprobe``.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, cast

import numpy as np
import zarr
from zarr.abc.buffer import Buffer
from zarr.abc.store import Store
from zarr.buffer.cpu import Buffer as CpuBuffer
from zarr.codecs import ZstdCodec
from zarr.storage import MemoryStore

from grokprobe.atomic import PARTIAL_SUFFIX
from grokprobe.errors import StoreError
from grokprobe.status import Status
from grokprobe.store.ledger import parse_ledger
from grokprobe.store.results import PRIVATE_DIRECTORY, consolidate

LEDGER: Final = "ledger"
METADATA: Final = "zarr.json"
#: In the private directory: numbers of runs whose seed nobody says.
SEEDS_FILE: Final = "seeds.json"
#: The array that holds the private files, one after the other.
FILES: Final = f"{PRIVATE_DIRECTORY}/files"
#: Its attribute with the length of each file by name, in order.
LENGTHS: Final = "lengths"
#: What is appended to a ledger changes the last chunk alone.
CHUNK_BYTES: Final = 1 << 20


def read_keys(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields every key of the store at ``path`` with its content; metadata first, outer groups before inner ones.

    Work may go on meanwhile: a result counts as done only if the ledger said so before its data were read.
    """
    before = _read_private(path)
    files = [file.relative_to(path) for file in path.rglob("*") if file.is_file()]
    names = [file.as_posix() for file in files if PRIVATE_DIRECTORY not in file.parts]
    names = [name for name in names if not name.endswith(PARTIAL_SUFFIX)]
    for name in sorted(names, key=_metadata_first):
        content = (path / name).read_bytes()
        yield name, _without_consolidated(content) if name == METADATA else content
    after = _read_private(path)
    private = {
        name: _settle(before.get(name, b""), content) if name.startswith(f"{LEDGER}/") else content
        for name, content in after.items()
    }
    yield from sorted(encode_private(private).items(), key=lambda item: _metadata_first(item[0]))


def write_keys(path: Path, keys: Iterable[tuple[str, bytes]]) -> None:
    """Writes a store into the empty directory ``path`` from its keys, consolidated.

    Raises:
        StoreError: a key is no place below ``path``.
    """
    private: dict[str, bytes] = {}
    for key, content in keys:
        if key.startswith(f"{PRIVATE_DIRECTORY}/"):
            private[key] = content
        else:
            _write(path, key, content)
    for name, content in decode_private(private).items():
        _write(path / PRIVATE_DIRECTORY, name, content)
    consolidate(path)


def encode_private(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns private files as keys: those of a ledger first, because what comes after one that grows is sent again."""
    ordered = sorted(files, key=lambda name: (not name.startswith(f"{LEDGER}/"), name))
    content = np.frombuffer(b"".join(files[name] for name in ordered), np.uint8)
    keys: dict[str, Buffer] = {}
    store = MemoryStore(keys)
    zarr.create_group(store, path=PRIVATE_DIRECTORY, attributes={"description": "what is done, with which inputs"})
    array = zarr.create_array(
        store,
        name=FILES,
        shape=content.shape,
        chunks=(CHUNK_BYTES,),
        dtype="uint8",
        fill_value=0,
        compressors=[ZstdCodec(level=1, checksum=True)],
        dimension_names=("byte",),
        attributes={LENGTHS: {name: len(files[name]) for name in ordered}},
    )
    array[:] = content
    return {key: buffer.to_bytes() for key, buffer in keys.items() if key.startswith(f"{PRIVATE_DIRECTORY}/")}


def decode_private(keys: Mapping[str, bytes] | Store) -> dict[str, bytes]:
    """Returns the private files that keys hold, or a store of a repository; none where there are none."""
    if not isinstance(keys, Store):
        keys = MemoryStore({key: CpuBuffer.from_bytes(content) for key, content in keys.items()})
    try:
        array = zarr.open_array(keys, path=FILES, mode="r")
    except FileNotFoundError:
        return {}
    content = io.BytesIO(np.asarray(array[:]).tobytes())
    return {name: content.read(length) for name, length in cast("Mapping[str, int]", array.attrs[LENGTHS]).items()}


def ledger_digests(path: Path) -> dict[str, str]:
    """Returns a digest of the whole lines of each file of the ledger of the store at ``path``."""
    files = {name: content for name, content in _read_private(path).items() if name.startswith(f"{LEDGER}/")}
    return {name: digest(_settle(content, content)) for name, content in files.items()}


def digest(content: bytes) -> str:
    """Returns by what contents are compared."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _read_private(path: Path) -> dict[str, bytes]:
    """Returns what else travels; locks and digests of files by their path say something about one machine alone."""
    private = path / PRIVATE_DIRECTORY
    files = [*sorted((private / LEDGER).glob("*.jsonl")), private / SEEDS_FILE]
    return {file.relative_to(private).as_posix(): file.read_bytes() for file in files if file.exists()}


def _settle(before: bytes, after: bytes) -> bytes:
    """Returns the lines of ``before``, and of those appended since the ones that only take back what was said."""
    start = before.rfind(b"\n") + 1
    lines = [line + b"\n" for line in after[start:].split(b"\n")[:-1]]
    taken_back = [line for line in lines if all(entry.status is Status.MISSING for _, entry in parse_ledger(line))]
    return after[:start] + b"".join(taken_back)


def _without_consolidated(content: bytes) -> bytes:
    document = json.loads(content)
    document.pop("consolidated_metadata", None)
    return json.dumps(document, indent=2).encode()


def _metadata_first(key: str) -> tuple[bool, int, str]:
    return not key.endswith(METADATA), key.count("/"), key


def _write(root: Path, name: str, content: bytes) -> None:
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts):
        raise StoreError(f"expected a results store, found the name {name!r} in it, which was not written")
    file = root.joinpath(*parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
