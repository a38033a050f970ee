"""Distributed checkpoints of torch, written here in any number of pieces."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)


def write_distributed(directory: Path, content: dict[str, Any], num_pieces: int = 2) -> Metadata:
    """Writes tensors and other values, each tensor of several rows in pieces over as many files."""
    directory.mkdir(parents=True, exist_ok=True)
    files = [io.BytesIO() for _ in range(num_pieces)]
    metadata = Metadata(state_dict_metadata={}, planner_data={}, storage_data={})
    for name, value in content.items():
        metadata.planner_data[name] = tuple(name.split("."))
        if not isinstance(value, torch.Tensor):
            metadata.state_dict_metadata[name] = BytesStorageMetadata()
            metadata.storage_data[MetadataIndex(name)] = _append(files, 0, value)
            continue
        pieces = torch.tensor_split(value, num_pieces) if value.ndim and len(value) >= num_pieces else [value]
        start, chunks = 0, []
        for k, piece in enumerate(pieces):
            offsets = torch.Size([start, *[0] * (value.ndim - 1)]) if value.ndim else torch.Size([])
            start += len(piece) if value.ndim else 0
            chunks.append(ChunkStorageMetadata(offsets=offsets, sizes=piece.shape))
            metadata.storage_data[MetadataIndex(name, offsets, k)] = _append(files, k, piece.clone())
        properties = TensorProperties.create_from_tensor(value)
        metadata.state_dict_metadata[name] = TensorStorageMetadata(properties, value.shape, chunks)
    for k, file in enumerate(files):
        (directory / f"__{k}_0.distcp").write_bytes(file.getvalue())
    write_metadata(directory, metadata)
    return metadata


def write_metadata(directory: Path, metadata: object) -> Path:
    (directory / ".metadata").write_bytes(pickle.dumps(metadata))
    return directory / ".metadata"


def _append(files: list[io.BytesIO], k: int, value: object) -> _StorageInfo:
    start = files[k].tell()
    buffer = io.BytesIO()
    torch.save(value, buffer)
    files[k].write(buffer.getvalue())
    return _StorageInfo(relative_path=f"__{k}_0.distcp", offset=start, length=len(buffer.getvalue()))
