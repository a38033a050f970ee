"""Named parameters out of a safetensors file.

Its own library checks the header: no overlap, no hole, sizes as the shapes say, nothing behind the last tensor. The
bytes of a tensor are read when it is wanted.
"""

import json
import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open

from grokprobe.checkpoints.contents import CheckpointContent
from grokprobe.checkpoints.lazy_tensors import ContiguousTensor
from grokprobe.checkpoints.state_dict import EPOCH_KEYS, STEP_KEYS, read_position, split_tensors
from grokprobe.checkpoints.stored_tensors import UnreadTensor
from grokprobe.errors import CorruptCheckpointError, NotACheckpointError

#: Metadata: names of the tensors in the order of the file that was converted, as JSON.
ORDER_KEY: Final = "parameter_order"
#: The one key of the header that is no tensor.
METADATA_KEY: Final = "__metadata__"
#: Name of a floating-point type in the header → the type, in the order in which the library writes their tensors.
TYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F8_E8M0": torch.float8_e8m0fnu,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


def read_safetensors(path: Path) -> CheckpointContent:
    """Reads one safetensors file; ``epoch`` and ``step`` come from its metadata.

    Raises:
        CorruptCheckpointError: truncated or damaged.
        NotACheckpointError: no floating-point tensor in it.
    """
    try:
        with safe_open(str(path), framework="np") as file:
            names, metadata = list(file.keys()), file.metadata() or {}
        entries = _describe(path)
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptCheckpointError(f"{path}: truncated or damaged safetensors file ({error})") from error
    if sorted(entries) != sorted(names):
        raise CorruptCheckpointError(f"{path}: truncated or damaged safetensors file (it changed while it was read)")
    parameters, others = split_tensors({name: entries[name] for name in _order(names, metadata)})
    if not parameters:
        raise NotACheckpointError(f"{path}: expected named parameters, found no floating-point tensor")
    return CheckpointContent(
        parameters=parameters,
        other_tensors=others,
        epoch=_metadata_position(metadata, EPOCH_KEYS),
        step=_metadata_position(metadata, STEP_KEYS),
        format="safetensors",
    )


def _describe(path: Path) -> dict[str, ContiguousTensor | UnreadTensor]:
    """Returns the tensors of a header that the library has checked.

    Raises:
        ValueError, KeyError, TypeError: it is another one than was checked.
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(length))
    header.pop(METADATA_KEY, None)
    return {name: _as_tensor(entry, path, 8 + length) for name, entry in header.items()}


def _as_tensor(entry: Mapping[str, Any], path: Path, start: int) -> ContiguousTensor | UnreadTensor:
    dtype, shape = TYPES.get(entry["dtype"]), tuple(entry["shape"])
    if dtype is None:
        return UnreadTensor(maker=entry["dtype"])
    first, end = entry["data_offsets"]
    if math.prod(shape) * dtype.itemsize != end - first:
        raise ValueError(f"{end - first} bytes for {shape} of {dtype}")
    return ContiguousTensor(path=path, start=start + first, dtype=dtype, shape=shape)


def _order(names: list[str], metadata: Mapping[str, str]) -> list[str]:
    """Returns the names in the order that the metadata says, if it says one of all: the format itself sorts them."""
    try:
        order = json.loads(metadata.get(ORDER_KEY, "null"))
    except (ValueError, RecursionError):
        return names
    is_order = isinstance(order, list) and all(isinstance(name, str) for name in order)
    return order if is_order and sorted(order) == sorted(names) else names


def _metadata_position(metadata: Mapping[str, str], keys: tuple[str, ...]) -> int | None:
    numbers = {key: int(metadata[key]) for key in keys if re.fullmatch(r"[0-9]{1,18}", metadata.get(key, ""))}
    return read_position((numbers,), keys)
