"""Named parameters out of a safetensors file."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open

from grokprobe.checkpoints.contents import CheckpointContent
from grokprobe.checkpoints.state_dict import EPOCH_KEYS, STEP_KEYS, read_position, split_tensors
from grokprobe.errors import CorruptCheckpointError, NotACheckpointError

#: Metadata: names of the tensors in the order of the file that was converted, as JSON.
ORDER_KEY: Final = "parameter_order"


def read_safetensors(path: Path) -> CheckpointContent:
    """Reads one safetensors file; ``epoch`` and ``step`` come from its metadata.

    Raises:
        CorruptCheckpointError: truncated or damaged.
        NotACheckpointError: no floating-point tensor in it.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
            metadata = file.metadata() or {}
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptCheckpointError(f"{path}: truncated or damaged safetensors file ({error})") from error
    parameters, others = split_tensors({name: tensors[name] for name in _order(list(tensors), metadata)}, path)
    if not parameters:
        raise NotACheckpointError(f"{path}: expected named parameters, found no floating-point tensor")
    return CheckpointContent(
        parameters=parameters,
        other_tensors=others,
        epoch=_metadata_position(metadata, EPOCH_KEYS),
        step=_metadata_position(metadata, STEP_KEYS),
        format="safetensors",
        wrapper="",
    )


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
