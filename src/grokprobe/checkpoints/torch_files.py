"""What a torch file or a pickle says, through the inert interpreter: plain values, records and storages.

Reference: ``torch/serialization.py``. A zip archive holds ``data.pkl`` and a member ``data/KEY`` for each storage. The
older format is five pickles (a magic number, a version, the machine, the content, the keys of the storages), then each
storage as its number of elements and its bytes.
"""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from grokprobe.checkpoints.archive import Section, read_archive
from grokprobe.checkpoints.formats import is_torch_legacy
from grokprobe.checkpoints.stored_tensors import Storage, TensorFile, read_storage_type
from grokprobe.errors import CorruptCheckpointError
from grokprobe.inert_pickle import Global, Inert, load_inert

#: Operations of one pickle: room for some thousand checkpoints of a small network with their optimizer.
MAX_OPERATIONS: Final = 3_000_000
_ENCODE: Final = Global("_codecs", "encode")
_LOAD_FROM_BYTES: Final = Global("torch.storage", "_load_from_bytes")
#: What an archive says of its byte order; one that says nothing was written before torch did, by any machine.
_BYTE_ORDERS: Final = {b"": sys.byteorder, b"little": "little", b"big": "big"}


def load_archive(section: Section) -> Any:
    """Returns the content of a torch archive that passed :func:`~grokprobe.checkpoints.archive.check_archive`.

    Raises:
        CorruptCheckpointError: truncated, damaged, or a storage that claims another size than its member has.
        UnsafeCheckpointError: as :func:`~grokprobe.inert_pickle.load_inert`.
    """
    archive = read_archive(section)
    if archive.byte_order not in _BYTE_ORDERS:
        raise CorruptCheckpointError(
            f"{section.path}: expected 'little' or 'big' for its byte order, found {archive.byte_order[:20]!r}"
        )
    is_swapped = _BYTE_ORDERS[archive.byte_order] != sys.byteorder
    file = TensorFile(path=section.path, places=dict(archive.places), is_swapped=is_swapped)
    sizes = {key: num_bytes for key, (_, num_bytes) in file.places.items()}
    return load_inert(
        io.BytesIO(archive.pickled),
        _origin(section.path),
        persistent_load=_storage_reader(file, sizes, section.path),
        max_operations=MAX_OPERATIONS,
    )


def load_pickle(path: Path) -> Any:
    """Returns the content of a file in the older format of torch, or of a plain pickle, in which tensors may be too.

    Raises:
        CorruptCheckpointError: truncated or damaged.
        UnsafeCheckpointError: as :func:`~grokprobe.inert_pickle.load_inert`.
    """
    with path.open("rb") as file:
        if is_torch_legacy(path):
            return _load_legacy(file, TensorFile(path=path))
        return load_inert(file, _origin(path), max_operations=MAX_OPERATIONS)


def load_nested_storage(record: Inert, path: Path) -> Storage | None:
    """Returns the storage that a plain pickle holds as the bytes of a torch file; None if ``record`` is none.

    Raises:
        CorruptCheckpointError: the bytes are not those of a storage.
    """
    match record:
        case Inert(maker=maker, args=(given,)) if maker == _LOAD_FROM_BYTES:
            content = _as_bytes(given)
            if content is None:
                return None
            found = _load_legacy(io.BytesIO(content), TensorFile(path=path, content=content))
            if isinstance(found, Storage):
                return found
            raise CorruptCheckpointError(f"{path}: expected the bytes of a storage in the pickle, found something else")
    return None


def _as_bytes(given: Any) -> bytes | None:
    """Returns bytes as pickles hold them: as they are, or before protocol 3 as a text to be encoded."""
    match given:
        case bytes():
            return given
        case Inert(maker=maker, args=(str(text), "latin1")) if maker == _ENCODE and max(text, default="") <= "\xff":
            return text.encode("latin1")
    return None


def _load_legacy(file: BinaryIO, tensors: TensorFile) -> Any:
    path, origin = tensors.path, _origin(tensors.path)
    start = [load_inert(file, origin, max_operations=MAX_OPERATIONS) for _ in range(3)]
    if not (isinstance(start[2], dict) and start[2].get("little_endian") is True):
        raise CorruptCheckpointError(
            f"{path}: expected numbers in little-endian order, found others; save it again on this machine"
        )
    sizes: dict[str, int] = {}
    content = load_inert(
        file, origin, persistent_load=_storage_reader(tensors, sizes, path), max_operations=MAX_OPERATIONS
    )
    keys = load_inert(file, origin, max_operations=MAX_OPERATIONS)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CorruptCheckpointError(f"{path}: truncated or damaged: expected the keys of storages, found others")
    offset = file.tell()
    end = file.seek(0, os.SEEK_END)
    for key in keys:
        offset += 8  # the number of elements comes first
        num_bytes = sizes.get(key, 0)
        if offset + num_bytes > end:
            raise CorruptCheckpointError(f"{path}: truncated or damaged: it ends within storage {key[:40]!r}")
        tensors.places[key] = (offset, num_bytes)
        offset += num_bytes
    return content


def _storage_reader(tensors: TensorFile, sizes: dict[str, int], path: Path) -> Callable[[Any], Any]:
    """Returns what makes a storage out of its persistent id, and notes its size if it is new."""

    def read(identifier: Any) -> Any:
        match identifier:
            case ("storage", maker, str(key), _, int(num_elements), *view) if num_elements >= 0:
                dtype = _storage_type(maker, path)
                num_bytes = num_elements * (1 if dtype is None else dtype.itemsize)
                if sizes.setdefault(key, num_bytes) != num_bytes or (view and view != [None]):
                    raise CorruptCheckpointError(
                        f"{path}: truncated or damaged: expected {sizes[key]} bytes of storage {key[:40]!r},"
                        f" found {num_bytes} claimed"
                    )
                return Storage(file=tensors, key=key, dtype=dtype, num_bytes=num_bytes)
            case ("module", Global() as maker, *_):  # a class beside its source, as old files name it
                return maker
        raise CorruptCheckpointError(f"{path}: expected the description of a storage, found another persistent id")

    return read


def _storage_type(maker: Any, path: Path) -> Any:
    try:
        return read_storage_type(maker)
    except CorruptCheckpointError as error:
        raise CorruptCheckpointError(f"{path}: {error}") from error


def _origin(path: Path) -> str:
    return f"{path}: its pickle"
