"""A checkpoint split over several files, with an index that says which tensor is in which.

    {"metadata": {…}, "weight_map": {"model.embed.weight": "model-00001-of-00002.safetensors", …}}

The names of shards are data of a stranger: each is one file beside the index and nothing else. A link is followed only
into the ``blobs`` of the same repository, as the cache of Hugging Face has them.

Reference: ``huggingface_hub``, serialization of sharded state dicts.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from grokprobe.checkpoints.contents import CheckpointContent, MergedParameters
from grokprobe.errors import CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError

#: An index of more bytes describes no network that this program could measure.
_MAX_INDEX: Final = 64 * 2**20
_SNAPSHOTS: Final = "snapshots"
_BLOBS: Final = "blobs"


def read_sharded(path: Path, read_shard: Callable[[Path], CheckpointContent]) -> CheckpointContent:
    """Reads the tensors that the index ``path`` lists, each from its shard.

    Args:
        path: the index.
        read_shard: reads one shard.

    Raises:
        NotACheckpointError: a JSON file without such an index.
        UnsafeCheckpointError: the name of a shard that is no plain name of a file beside the index.
        CorruptCheckpointError: a shard that is missing or damaged, or lacks a tensor that it should have.
    """
    weight_map = _read_index(path)
    contents: dict[str, CheckpointContent] = {}
    for shard in dict.fromkeys(weight_map.values()):
        file = locate(path, shard)
        try:
            contents[shard] = read_shard(file)
        except NotACheckpointError as error:
            raise CorruptCheckpointError(f"{path}: shard {shard[:80]!r}: {_reason(error, file)}") from error
        except (CorruptCheckpointError, UnsafeCheckpointError) as error:
            raise type(error)(f"{path}: shard {shard[:80]!r}: {_reason(error, file)}") from error
    homes, others = {}, []
    for name, shard in weight_map.items():
        content = contents[shard]
        if name in content.parameters:
            homes[name] = content.parameters
        elif name in content.other_tensors:
            others.append(name)
        else:
            raise CorruptCheckpointError(
                f"{path}: expected tensor {name[:80]!r} in shard {shard[:80]!r}, found none; fetch the shard again"
            )
    if not homes:
        raise NotACheckpointError(f"{path}: expected named parameters, found no floating-point tensor in the shards")
    return CheckpointContent(
        parameters=MergedParameters(homes),
        other_tensors=tuple(others),
        epoch=next((content.epoch for content in contents.values() if content.epoch is not None), None),
        step=next((content.step for content in contents.values() if content.step is not None), None),
        format="sharded",
        wrapper="",
        parts=tuple(locate(path, shard) for shard in contents),
    )


def locate(index: Path, name: str) -> Path:
    """Returns the file of that name beside ``index``.

    Raises:
        UnsafeCheckpointError: the name leads anywhere else.
        CorruptCheckpointError: there is no such file.
    """
    if not name or name in {".", ".."} or "/" in name or "\\" in name or "\0" in name:
        raise UnsafeCheckpointError(
            f"{index}: expected the name of a file beside it, found {name[:80]!r}; nothing was opened; mend the index"
        )
    file = index.parent / name
    allowed = [index.parent.resolve()]
    if index.parent.parent.name == _SNAPSHOTS:  # the cache of Hugging Face: REPOSITORY/snapshots/REVISION/NAME
        allowed.append((index.parent.parent.parent / _BLOBS).resolve())
    try:
        target = file.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise CorruptCheckpointError(f"{index}: expected the shard {name[:80]!r} beside it, found none") from error
    if target.parent not in allowed or not target.is_file():
        raise UnsafeCheckpointError(
            f"{index}: expected {name[:80]!r} to be a file beside it, found a link or something else that leads"
            " elsewhere; it was not opened; copy the file there"
        )
    return file


def list_parts(path: Path) -> frozenset[str]:
    """Returns the names that the index ``path`` lists, whatever they are; none if it is no index."""
    try:
        return frozenset(_read_index(path).values())
    except (NotACheckpointError, CorruptCheckpointError, OSError):
        return frozenset()


def _read_index(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise NotACheckpointError(f"{path}: expected an index of shards, found no regular file")
    if path.stat().st_size > _MAX_INDEX:
        raise NotACheckpointError(f"{path}: expected an index of shards, found more than {_MAX_INDEX} bytes")
    try:
        content: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CorruptCheckpointError(f"{path}: expected JSON, found {str(error)[:80]}; fetch it again") from error
    found = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(found, dict) or not all(isinstance(shard, str) for shard in found.values()):
        raise NotACheckpointError(f"{path}: not a checkpoint (JSON without a weight_map of tensors to files)")
    return found


def _reason(error: Exception, file: Path) -> str:
    return str(error).removeprefix(f"{file}: ")
