"""A checkpoint of ``torch.distributed.checkpoint``: a directory of ``.distcp`` files described by ``.metadata``.

``.metadata`` is a pickle. It is read by the inert interpreter, may name only the classes that torch writes there, and
each slice that it points to has to lie in a file beside it. A slice is an archive of torch that holds one chunk of one
tensor.

Reference: ``torch/distributed/checkpoint/{metadata,filesystem}.py``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from grokprobe.checkpoints.archive import Section, check_archive
from grokprobe.checkpoints.chunked_tensors import Chunk, ChunkedTensor, check_chunks
from grokprobe.checkpoints.contents import CheckpointContent
from grokprobe.checkpoints.objects import unpack
from grokprobe.checkpoints.sharded import locate
from grokprobe.checkpoints.state_dict import EPOCH_KEYS, STEP_KEYS, find_state_dict, read_position, split_tensors
from grokprobe.checkpoints.stored_tensors import TORCH_DTYPES, UnreadTensor
from grokprobe.checkpoints.torch_files import load_archive, load_pickle
from grokprobe.errors import CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError
from grokprobe.inert_pickle import Global, Inert

_METADATA: Final = "torch.distributed.checkpoint.metadata"
#: Everything that torch writes into ``.metadata``.
_ALLOWED: Final = frozenset(
    {
        *(
            f"{_METADATA}.{name}"
            for name in (
                "Metadata",
                "TensorStorageMetadata",
                "TensorProperties",
                "ChunkStorageMetadata",
                "BytesStorageMetadata",
                "MetadataIndex",
                "StorageMeta",
                "_MEM_FORMAT_ENCODING",
            )
        ),
        "torch.distributed.checkpoint.filesystem._StorageInfo",
        "torch.serialization._get_layout",
        "pathlib.PosixPath",
        "pathlib.WindowsPath",
        "pathlib._local.PosixPath",
        "pathlib._local.WindowsPath",
    }
)
_ADVICE: Final = "nothing in it was executed; convert it with torch.distributed.checkpoint.format_utils"


def read_distributed(path: Path, state_dict_key: str) -> CheckpointContent:
    """Reads the tensors that ``.metadata`` describes.

    Args:
        path: the file ``.metadata``.
        state_dict_key: where the state dict is among the nested names, if it is not to be looked for.

    Raises:
        CorruptCheckpointError: truncated or damaged, or a slice that is not as it is described.
        UnsafeCheckpointError: it names other classes than torch writes, or points outside its files.
        NotACheckpointError: no floating-point tensors.
    """
    record = load_pickle(path)
    if not isinstance(record, Inert) or record.maker != Global(_METADATA, "Metadata"):
        raise NotACheckpointError(f"{path}: not a checkpoint (a file of this name that torch did not write)")
    unpacked = unpack(record, path)
    content = unpacked.content
    strange = [name for name in unpacked.unread if name not in _ALLOWED]
    if strange:
        raise UnsafeCheckpointError(f"{path}: refused as unsafe, it names {strange[0]}: {_ADVICE}")
    fields = content if isinstance(content, dict) else {}
    described, stored = (fields.get(name) for name in ("state_dict_metadata", "storage_data"))
    if not isinstance(described, dict) or not isinstance(stored, dict):
        raise CorruptCheckpointError(f"{path}: expected state_dict_metadata and storage_data, found others")
    slices = _group_slices(stored, path)
    paths = fields.get("planner_data")
    tree = _nest(
        {name: _read_entry(name, entry, slices, path) for name, entry in described.items() if isinstance(name, str)},
        paths if isinstance(paths, dict) else {},
        path,
    )
    found = find_state_dict(tree, path, state_dict_key)
    parameters, others = split_tensors(found.entries)
    return CheckpointContent(
        parameters=parameters,
        other_tensors=others,
        epoch=read_position(found.scopes, EPOCH_KEYS),
        step=read_position(found.scopes, STEP_KEYS),
        format="torch distributed",
        wrapper=found.wrapper,
        parts=tuple(dict.fromkeys(section.path for chunks in slices.values() for section in chunks.values())),
    )


#: Name of a tensor → offset of a chunk in it (None for what is no tensor) → where the chunk lies.
_Slices = dict[str, dict[tuple[int, ...] | None, Section]]


def _group_slices(stored: Mapping[Any, Any], path: Path) -> _Slices:
    slices: _Slices = {}
    for index, place in stored.items():
        match index:
            case Inert(maker=maker, state={"fqn": str(name), **rest}) if maker == Global(_METADATA, "MetadataIndex"):
                offset = _as_lengths(rest.get("offset"))
                slices.setdefault(name, {})[offset] = _as_section(place, path)
            case _:
                raise CorruptCheckpointError(f"{path}: expected a MetadataIndex for each slice, found another key")
    return slices


def _as_section(place: Any, path: Path) -> Section:
    match place:
        case {"relative_path": str(name), "offset": int(start), "length": int(length), **rest}:
            if rest.get("transform_descriptors"):
                raise CorruptCheckpointError(f"{path}: expected plain slices, found compressed ones; save without")
            file = locate(path, name)
            if start < 0 or length < 0 or start + length > file.stat().st_size:
                raise CorruptCheckpointError(
                    f"{path}: expected bytes {start} to {start + length} in {name[:80]!r}, found"
                    f" {file.stat().st_size} bytes: truncated or damaged"
                )
            return Section(path=file, start=start, length=length)
    raise CorruptCheckpointError(f"{path}: expected file, offset and length of each slice, found others")


def _read_entry(name: str, entry: Any, slices: _Slices, path: Path) -> Any:
    """Returns the tensor under ``name``, unread; an integer where it is one that says the position; else None."""
    match entry:
        case {"properties": properties, "size": list(size), "chunks": list(chunks)}:
            return _as_tensor((name, properties, tuple(size)), chunks, slices, path)
    section = slices.get(name, {}).get(None)
    if section is None or name.rpartition(".")[2] not in {*EPOCH_KEYS, *STEP_KEYS}:
        return None
    check_archive(section)
    return unpack(load_archive(section), path).content


def _as_tensor(
    described: tuple[str, Any, tuple[Any, ...]], chunks: list[Any], slices: _Slices, path: Path
) -> ChunkedTensor | UnreadTensor:
    name, properties, size = described
    dtype = _find_dtype(properties)
    if dtype is None:
        return UnreadTensor(maker="a tensor of unknown type")
    placed = []
    for chunk in chunks:
        match chunk:
            case {"offsets": list(offsets), "sizes": list(sizes)} if all(type(start) is int for start in offsets):
                section = slices.get(name, {}).get(tuple(offsets))
                if section is None:
                    raise CorruptCheckpointError(f"{path}: expected a slice for tensor {name[:80]!r}, found none")
                placed.append(Chunk(offsets=tuple(offsets), sizes=tuple(sizes), section=section))
            case _:
                raise CorruptCheckpointError(f"{path}: expected the offsets and sizes of a chunk, found others")
    check_chunks(size, placed, f"{path}: tensor {name[:80]!r}")
    return ChunkedTensor(dtype=dtype, shape=size, chunks=tuple(placed), path=path)


def _find_dtype(properties: Any) -> torch.dtype | None:
    match properties:
        case Inert(state=(Global(module="torch", name=name), *_)) | {"dtype": Global(module="torch", name=name)}:
            return TORCH_DTYPES.get(name)
    return None


def _as_lengths(value: Any) -> tuple[int, ...] | None:
    match value:
        case Inert(maker=maker, args=(tuple(lengths),)) if maker == Global("torch", "Size"):
            return lengths if all(type(length) is int for length in lengths) else None
    return None


def _nest(entries: Mapping[str, Any], paths: Mapping[Any, Any], path: Path) -> dict[str, Any]:
    """Returns ``entries`` in the nested mappings that they were flattened from."""
    tree: dict[str, Any] = {}
    for name, value in entries.items():
        if value is None:
            continue
        here, keys = tree, list(_keys(name, paths))
        for key in keys[:-1]:
            here = here.setdefault(key, {})
            if not isinstance(here, dict):
                raise CorruptCheckpointError(f"{path}: expected nested names, found {name[:80]!r} below a tensor")
        here[keys[-1]] = value
    return tree


def _keys(name: str, paths: Mapping[Any, Any]) -> Iterator[str]:
    match paths.get(name):
        case [*keys] if keys:
            yield from map(str, keys)
        case _:
            yield name
