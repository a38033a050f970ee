"""A safetensors file written tensor by tensor, so that its tensors are never in memory together.

The library writes what it is given at once. The format is a length, a header in JSON and the bytes of the tensors one
after the other; the order is that of the library, so that both write equal files.
"""

import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from grokprobe.atomic import PARTIAL_SUFFIX
from grokprobe.checkpoints.contents import outlines_of
from grokprobe.checkpoints.safetensors_files import METADATA_KEY, TYPES


def stream_tensors(path: Path, parameters: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Writes ``parameters`` as one safetensors file, atomically; each is taken out of the mapping once.

    Args:
        path: of the file.
        parameters: of the types in :data:`~grokprobe.checkpoints.safetensors_files.TYPES`.
        metadata: of the file.

    Raises:
        CheckpointError: a tensor cannot be read.
        OSError: writing failed; what was at ``path`` before is unchanged.
    """
    types = {dtype: name for name, dtype in TYPES.items()}
    outlines = outlines_of(parameters)
    order = sorted(outlines, key=lambda name: (list(types).index(outlines[name].dtype), name))
    header: dict[str, Any] = {METADATA_KEY: dict(sorted(metadata.items()))} if metadata else {}
    end = 0
    for name in order:
        dtype, shape = outlines[name].dtype, list(outlines[name].shape)
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": types[dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the first tensor begins at a multiple of eight
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        with partial.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name in order:
                file.write(_as_bytes(parameters[name]))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _as_bytes(tensor: torch.Tensor) -> memoryview:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
