"""Tensors that lie in several files in pieces, put together when they are read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from grokprobe.checkpoints.archive import Section, check_archive
from grokprobe.checkpoints.lazy_tensors import LazyTensor
from grokprobe.checkpoints.stored_tensors import StoredTensor, build_tensor, is_tensor_record
from grokprobe.checkpoints.torch_files import load_archive
from grokprobe.errors import CorruptCheckpointError, UnsafeCheckpointError
from grokprobe.inert_pickle import Inert

#: Pieces of one tensor; they are compared in pairs.
_MAX_CHUNKS: Final = 2048
_MAX_LENGTH: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A block of a tensor."""

    #: Its first index along each axis.
    offsets: tuple[int, ...]
    #: Its length along each axis.
    sizes: tuple[int, ...]
    #: The archive of torch that holds it.
    section: Section


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkedTensor(LazyTensor):
    """A tensor in blocks that cover it."""

    chunks: tuple[Chunk, ...]
    #: The file that describes it, for messages.
    path: Path

    def check(self, name: str) -> None:
        """Checks that the slices are long enough for the tensor."""
        wanted = math.prod(self.shape) * self.dtype.itemsize
        held = sum(chunk.section.size() for chunk in self.chunks)
        if wanted > held:
            raise UnsafeCheckpointError(
                f"{self.path}: tensor {name!r} claims {wanted} bytes, its slices hold {held}; it was not read"
            )

    def read(self) -> torch.Tensor:
        """Returns the tensor, put together from its blocks.

        Raises:
            CorruptCheckpointError: a slice holds another tensor than is described.
        """
        if len(self.chunks) == 1:
            return self._read(self.chunks[0])
        whole = torch.empty(self.shape, dtype=self.dtype)
        for chunk in self.chunks:
            block = zip(chunk.offsets, chunk.sizes, strict=True)
            whole[tuple(slice(start, start + size) for start, size in block)] = self._read(chunk)
        return whole

    def _read(self, chunk: Chunk) -> torch.Tensor:
        check_archive(chunk.section)
        record = load_archive(chunk.section)
        tensor = build_tensor(record) if isinstance(record, Inert) and is_tensor_record(record) else None
        if not isinstance(tensor, StoredTensor) or (tensor.shape, tensor.dtype) != (chunk.sizes, self.dtype):
            raise CorruptCheckpointError(
                f"{self.path}: expected {self.dtype} of shape {chunk.sizes} at byte {chunk.section.start} of"
                f" {chunk.section.path.name}, found something else: truncated or damaged"
            )
        tensor.check(chunk.section.path.name)
        return tensor.read()


def check_chunks(shape: tuple[Any, ...], chunks: Sequence[Chunk], name: str) -> None:
    """Checks that ``chunks`` cover a tensor of that shape exactly once; ``name`` begins the messages.

    Raises:
        UnsafeCheckpointError: they are not lengths, lie outside the tensor, overlap or are too many.
        CorruptCheckpointError: some of the tensor is missing.
    """
    lengths = [*shape, *(length for chunk in chunks for length in (*chunk.offsets, *chunk.sizes))]
    if any(type(length) is not int or not 0 <= length < _MAX_LENGTH for length in lengths):
        raise UnsafeCheckpointError(f"{name}: expected lengths from 0 in its shape and blocks, found others")
    if len(chunks) > _MAX_CHUNKS:
        raise UnsafeCheckpointError(f"{name}: expected at most {_MAX_CHUNKS} blocks, found {len(chunks)}")
    for place, chunk in enumerate(chunks):
        if len(chunk.offsets) != len(shape) or len(chunk.sizes) != len(shape):
            raise UnsafeCheckpointError(f"{name}: expected blocks of {len(shape)} axes, found others")
        if any(start + size > end for start, size, end in zip(chunk.offsets, chunk.sizes, shape, strict=True)):
            raise UnsafeCheckpointError(f"{name}: expected blocks inside {shape}, found one at {chunk.offsets}")
        if any(_overlap(chunk, other) for other in chunks[:place]):
            raise UnsafeCheckpointError(f"{name}: expected separate blocks, found two that overlap")
    if sum(math.prod(chunk.sizes) for chunk in chunks) != math.prod(shape):
        raise CorruptCheckpointError(f"{name}: expected blocks that cover {shape}, found some missing")


def _overlap(one: Chunk, two: Chunk) -> bool:
    axes = zip(one.offsets, one.sizes, two.offsets, two.sizes, strict=True)
    return all(start < other + length and other < start + size for start, size, other, length in axes)
