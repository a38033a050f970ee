"""Files that are seen old or new, never in between."""

import os
from pathlib import Path
from typing import Final

#: Suffix of a file that is still being written; left behind only by a killed process.
PARTIAL_SUFFIX: Final = ".partial"


def write_atomically(path: Path, content: bytes) -> None:
    """Writes ``content`` so that a reader, or a kill at any moment, sees the old file or the new one whole."""
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
