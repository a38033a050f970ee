"""Tensors of a file as their description: nothing is read until a tensor is wanted, and then only what it spans."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import _utils

from grokprobe.checkpoints.lazy_tensors import LazyTensor, read_bytes
from grokprobe.errors import CorruptCheckpointError, UnsafeCheckpointError
from grokprobe.inert_pickle import Global, Inert

#: Name of a storage class of torch → element type; None for bytes whose type the tensor says.
STORAGE_TYPES: Final[dict[str, torch.dtype | None]] = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "QInt8Storage": torch.int8,
    "QUInt8Storage": torch.uint8,
    "QInt32Storage": torch.int32,
    "UntypedStorage": None,
}
#: Name of an element type in torch's namespace → the type.
TORCH_DTYPES: Final = {
    str(dtype).removeprefix("torch."): dtype for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)
}
_STORAGE_MODULES: Final = frozenset({"torch", "torch.cuda", "torch.storage"})
_MAX_DIMENSIONS: Final = 64
_MAX_WRAPPINGS: Final = 4
_DENSE: Final = frozenset(
    {
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
        "_rebuild_from_type_v2",
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v3",
    }
)
#: Every function of torch by which a tensor is pickled; those that are not dense give tensors that stay unread.
_BUILDERS: Final = _DENSE | frozenset(name for name in vars(_utils) if name.startswith("_rebuild_"))
_BUILDER_MODULES: Final = frozenset({"torch._utils", "torch._tensor", "torch.tensor"})
#: More than the bytes of any file.
_MAX_LENGTH: Final = 2**62


@dataclass(slots=True, kw_only=True)
class TensorFile:
    """Where the bytes of storages lie: in a file, or in the bytes of a pickle within one."""

    path: Path
    #: Bytes that hold the storages instead of the file; None if they lie in the file.
    content: bytes | None = None
    #: Key of a storage → (offset, number of bytes); checked to lie within the file.
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: Whether its numbers are in the other byte order than this machine's.
    is_swapped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A run of bytes that one or several tensors view."""

    file: TensorFile
    key: str
    #: None if each tensor says its own.
    dtype: torch.dtype | None
    num_bytes: int

    def place(self) -> int:
        """Returns the first byte in the file.

        Raises:
            CorruptCheckpointError: the file does not hold as many bytes under this key.
        """
        offset, num_bytes = self.file.places.get(self.key, (0, -1))
        if num_bytes != self.num_bytes:
            found = "none" if num_bytes < 0 else num_bytes
            raise CorruptCheckpointError(
                f"{self.file.path}: truncated or damaged: expected {self.num_bytes} bytes of storage {self.key[:40]!r},"
                f" found {found}"
            )
        return offset

    def read(self, dtype: torch.dtype, first: int, count: int) -> torch.Tensor:
        """Returns ``count`` elements from the ``first`` one on, as a vector in memory of its own."""
        start, num_bytes = self.place() + first * dtype.itemsize, count * dtype.itemsize
        if self.file.content is None:
            taken = read_bytes(self.file.path, start, num_bytes)
        else:
            taken = torch.frombuffer(bytearray(self.file.content[start : start + num_bytes]), dtype=torch.uint8)
        if self.file.is_swapped:
            taken.numpy().view(np.dtype(f"u{dtype.itemsize}")).byteswap(inplace=True)
        return taken.view(dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor(LazyTensor):
    """A dense view of a storage."""

    storage: Storage
    #: First element, counted in elements.
    offset: int
    stride: tuple[int, ...]

    def check(self, name: str) -> None:
        """Checks that every element lies in the storage, and the storage in the file."""
        path, held = self.storage.file.path, self.storage.num_bytes // self.dtype.itemsize
        count = math.prod(self.shape)
        if count > held:
            raise UnsafeCheckpointError(
                f"{path}: tensor {name!r} claims {count} elements, the file holds {held}; it was not expanded"
                " - save it again with .contiguous()"
            )
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        if self.offset > held or (count and last >= held):
            raise UnsafeCheckpointError(
                f"{path}: tensor {name!r} reaches beyond its storage of {held} elements; it was not read"
                " - save it again with .contiguous()"
            )
        self.storage.place()

    def read(self) -> torch.Tensor:
        """Returns the tensor; of its storage only what it spans is read."""
        if 0 in self.shape:
            return torch.empty(self.shape, dtype=self.dtype)
        span = 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        return self.storage.read(self.dtype, self.offset, span).as_strided(self.shape, self.stride)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadTensor:
    """A tensor that is no dense one in the file (sparse, quantized, nested, without values): only known to be there."""

    #: The function that would build it.
    maker: str


AnyTensor = torch.Tensor | LazyTensor | UnreadTensor


def is_real_tensor(value: object) -> bool:
    """Says whether ``value`` is a dense tensor of floating-point numbers, read or not."""
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() and value.layout == torch.strided
    return isinstance(value, LazyTensor) and value.dtype.is_floating_point


def read_storage_type(maker: object) -> torch.dtype | None:
    """Returns the element type that a storage class stands for; None if each tensor says its own.

    Raises:
        CorruptCheckpointError: it is no storage class of torch. The message does not say where.
    """
    if isinstance(maker, Global) and maker.module in _STORAGE_MODULES and maker.name in STORAGE_TYPES:
        return STORAGE_TYPES[maker.name]
    raise CorruptCheckpointError(f"expected a storage of torch, found {str(maker)[:80]!r}")


def is_tensor_record(record: Inert) -> bool:
    """Says whether ``record`` is a call of one of torch's functions that build a tensor."""
    maker = record.maker
    return isinstance(maker, Global) and maker.module in _BUILDER_MODULES and maker.name in _BUILDERS


def build_tensor(record: Inert) -> StoredTensor | UnreadTensor:
    """Returns the tensor that ``record`` describes; a parameter as its data.

    Raises:
        CorruptCheckpointError: its arguments are not those that torch writes. The message does not say where.
    """
    for _ in range(_MAX_WRAPPINGS):
        match record:
            case Inert(maker=Global(name="_rebuild_parameter" | "_rebuild_parameter_with_state"), args=(inner, *_)):
                if isinstance(inner, Inert) and is_tensor_record(inner):
                    record = inner
                    continue
            case Inert(maker=Global(name="_rebuild_from_type_v2"), args=(Global() as maker, _, tuple(args), *_)):
                record = Inert(maker, args)
                continue
            case Inert(maker=Global(name="_rebuild_tensor_v3"), args=(storage, offset, shape, stride, _, _, dtype, *_)):
                return _view(storage, offset, (shape, stride), _as_dtype(dtype))
            case Inert(
                maker=Global(name="_rebuild_tensor" | "_rebuild_tensor_v2"), args=(storage, offset, shape, stride, *_)
            ):
                return _view(storage, offset, (shape, stride), None)
            case Inert(maker=Global(name=name)) if name not in _DENSE:
                return UnreadTensor(maker=str(record.maker)[:80])
        break
    raise CorruptCheckpointError(f"expected a tensor as torch writes it, found other arguments of {record!r}")


def _view(
    storage: Any, offset: Any, geometry: tuple[Any, Any], dtype: torch.dtype | None
) -> StoredTensor | UnreadTensor:
    shape, stride = map(_as_lengths, geometry)
    own = (storage.dtype or dtype) if isinstance(storage, Storage) else None
    if own is None or shape is None or stride is None or len(shape) != len(stride) or not _is_length(offset):
        raise CorruptCheckpointError("expected the storage, offset, shape and stride of a tensor, found others")
    return StoredTensor(storage=storage, dtype=own, offset=offset, shape=shape, stride=stride)


def _as_lengths(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, Inert) and value.maker == Global("torch", "Size") and len(value.args) == 1:
        value = value.args[0]
    if not isinstance(value, tuple) or len(value) > _MAX_DIMENSIONS or not all(map(_is_length, value)):
        return None
    return value


def _is_length(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MAX_LENGTH


def _as_dtype(value: Any) -> torch.dtype | None:
    return TORCH_DTYPES.get(value.name) if isinstance(value, Global) and value.module == "torch" else None
