"""The groups and arrays of a store by their metadata files, as they are and as they were published."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

METADATA_FILE: Final = "zarr.json"

#: Path of a group or array → its metadata; None where they cannot be read.
Nodes = Mapping[str, dict[str, Any] | None]


def read_nodes(root: Path, private: str) -> Nodes:
    """Returns the metadata of everything below ``root``, published or not, but for the directory ``private``."""
    return dict(_walk(root, "", private))


def published_nodes(root: Path) -> Nodes:
    """Returns the metadata of everything that readers of the store at ``root`` see."""
    document = json.loads((root / METADATA_FILE).read_text())
    published = (document.get("consolidated_metadata") or {}).get("metadata", {})
    return {path: _own(metadata) for path, metadata in published.items()}


def array_names(nodes: Nodes, group: str) -> list[str]:
    """Returns the names of the arrays of a group whose metadata can be read."""
    return sorted(
        path.rpartition("/")[2]
        for path, node in nodes.items()
        if path.rpartition("/")[0] == group and node is not None and node["node_type"] == "array"
    )


def num_chunks(node: Mapping[str, Any]) -> int:
    """Returns the number of chunks of an array; none of a group."""
    if node["node_type"] == "group":
        return 0
    chunks = node["chunk_grid"]["configuration"]["chunk_shape"]
    return math.prod(-(-length // chunk) for length, chunk in zip(node["shape"], chunks, strict=True))


def _walk(root: Path, path: str, private: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    for directory in sorted(entry for entry in (root / path).iterdir() if entry.is_dir() and entry.name != private):
        if not (directory / METADATA_FILE).exists():
            continue
        inner = directory.relative_to(root).as_posix()
        node = _read(directory / METADATA_FILE)
        yield inner, node
        if node is None or node["node_type"] == "group":
            yield from _walk(root, inner, private)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    is_node = isinstance(document, dict) and document.get("node_type") in ("group", "array")
    return _own(document) if is_node else None


def _own(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != "consolidated_metadata"}
