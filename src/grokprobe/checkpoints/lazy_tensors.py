"""Tensors of a file that are read when they are wanted, each by itself and into memory of its own.

A file is read and not mapped: pages of a mapping count as memory as long as any tensor of the file is alive, and a file
that is cut short while it is mapped ends the process.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch

from grokprobe.errors import CheckpointError, CorruptCheckpointError


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyTensor(ABC):
    """A dense tensor that is read when it is wanted."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def num_bytes(self) -> int:
        """Number of bytes of its elements."""
        return math.prod(self.shape) * self.dtype.itemsize

    @abstractmethod
    def check(self, name: str) -> None:
        """Checks what the tensor claims without reading it; ``name`` is what messages call it.

        Raises:
            UnsafeCheckpointError: it claims more elements than the file has for it, or reaches beyond them.
            CorruptCheckpointError: the file does not hold it.
        """

    @abstractmethod
    def read(self) -> torch.Tensor:
        """Returns the tensor, which was checked, in memory of its own.

        Raises:
            CheckpointError: the file is gone, or has become shorter since it was described.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ContiguousTensor(LazyTensor):
    """A run of elements in C order, little-endian, in a file."""

    path: Path
    #: First byte in the file.
    start: int

    def check(self, name: str) -> None:
        """Checks that the file is long enough."""
        end = self.path.stat().st_size
        if self.start < 0 or self.start + self.num_bytes > end:
            raise CorruptCheckpointError(
                f"{self.path}: truncated or damaged: tensor {name!r} ends behind the {end} bytes of the file"
            )

    def read(self) -> torch.Tensor:
        """Returns the tensor."""
        return read_bytes(self.path, self.start, self.num_bytes).view(self.dtype).reshape(self.shape)


def read_bytes(path: Path, start: int, num_bytes: int) -> torch.Tensor:
    """Returns bytes of a file as a uint8 tensor of shape (num_bytes,), aligned for every type of element.

    Raises:
        CheckpointError: the file cannot be read.
        CorruptCheckpointError: it ends before the last of these bytes.
    """
    taken = torch.empty(num_bytes, dtype=torch.uint8)
    if not num_bytes:
        return taken
    rest = taken.numpy().data
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            while rest:
                num_read = file.readinto(rest)
                if not num_read:
                    raise CorruptCheckpointError(
                        f"{path}: truncated or damaged: it ends {len(rest)} bytes too early; it may have changed while"
                        " it was read"
                    )
                rest = rest[num_read:]
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    return taken
