"""Digests of files: what a stored number was computed from."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Final

from grokprobe.atomic import write_atomically
from grokprobe.errors import CheckpointError

#: A file changed this recently may change again within one tick of its clock: its digest is not remembered.
RACY_INTERVAL_NS: Final = 2_000_000_000


def file_digest(path: Path) -> str:
    """Returns ``"sha256:<hex>"`` of the bytes of ``path``, read as a stream.

    Raises:
        CheckpointError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error


class DigestCache:
    """Digests remembered by absolute path, size and time of change.

    The file holds one JSON row a line; a row that cannot be read is as good as none. Two processes that save at once
    leave the rows of one of them: it is a cache.
    """

    def __init__(self, cache_file: Path | None) -> None:
        self._cache_file = cache_file
        self._rows = _read_rows(cache_file) if cache_file is not None else {}
        self._is_changed = False

    def digest(self, path: Path) -> str:
        """Returns the digest of ``path``; its bytes are read only if size or time of change differ from the row.

        Raises:
            CheckpointError: the file cannot be read.
        """
        key = os.path.abspath(path)  # noqa: PTH100 - links keep their own row: resolving would cost a look-up each
        stamp = _stamp(path)
        row = self._rows.get(key)
        if row is not None and (row["size"], row["modified_ns"]) == stamp:
            return row["digest"]
        digest = file_digest(path)
        if stamp == _stamp(path) and time.time_ns() - stamp[1] > RACY_INTERVAL_NS:
            self._rows[key] = {"path": key, "size": stamp[0], "modified_ns": stamp[1], "digest": digest}
            self._is_changed = True
        return digest

    def save(self) -> None:
        """Writes the rows atomically, if there is a file and something is new."""
        if self._cache_file is None or not self._is_changed:
            return
        lines = [json.dumps(self._rows[key], sort_keys=True) for key in sorted(self._rows)]
        self._cache_file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._cache_file, ("\n".join(lines) + "\n").encode())
        self._is_changed = False


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    return status.st_size, status.st_mtime_ns


def _read_rows(cache_file: Path) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    text = cache_file.read_text(encoding="utf-8", errors="replace") if cache_file.is_file() else ""
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and {"path", "size", "modified_ns", "digest"} <= set(row):
            rows[row["path"]] = row
    return rows
