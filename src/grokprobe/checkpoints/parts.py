"""Files that are one part of a checkpoint and no checkpoint themselves."""

import functools
from pathlib import Path

from grokprobe.checkpoints.formats import DISTRIBUTED_INDEX, DISTRIBUTED_SUFFIX, SHARD_INDEX_SUFFIX
from grokprobe.checkpoints.sharded import list_parts


def describe_part(path: Path) -> str:
    """Returns what checkpoint ``path`` is a part of; empty if it is none.

    A shard is known by the index beside it that lists its name, a file of a distributed checkpoint by its ending.
    """
    if path.name.endswith(DISTRIBUTED_SUFFIX):
        if (path.parent / DISTRIBUTED_INDEX).is_file():
            return f"one part of the distributed checkpoint {path.parent.name}/{DISTRIBUTED_INDEX}"
        return f"one part of a distributed checkpoint without {DISTRIBUTED_INDEX}: it was never finished; save it again"
    try:
        index = _shards_of(path.parent, path.parent.stat().st_mtime_ns).get(path.name)
    except OSError:  # gone, or closed to us: reading the file itself says so
        return ""
    return f"one part of the sharded checkpoint {index}" if index else ""


@functools.lru_cache(maxsize=1)
def _shards_of(directory: Path, modified_ns: int) -> dict[str, str]:
    """Returns the index by the name of a shard; the files of a directory are asked for one after the other."""
    del modified_ns  # a directory that has changed is read again
    indices = sorted(directory.glob(f"*{SHARD_INDEX_SUFFIX}"))
    return {shard: index.name for index in indices for shard in list_parts(index)}
