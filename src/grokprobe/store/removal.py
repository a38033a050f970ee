"""Directories that go as a whole: what a kill leaves of one is never taken for part of the store."""

import shutil
import uuid
from pathlib import Path
from typing import Final

#: In the private directory: what is being removed.
REMOVED_DIRECTORY: Final = "removed"


def discard(directory: Path, private: Path) -> None:
    """Removes ``directory``: it is gone at once, and then deleted.

    Args:
        directory: of one file system with ``private``.
        private: of the store.
    """
    place = private / REMOVED_DIRECTORY / uuid.uuid4().hex
    place.parent.mkdir(parents=True, exist_ok=True)
    directory.replace(place)
    shutil.rmtree(place.parent)


def delete_discarded(private: Path) -> None:
    """Deletes what a process was deleting when it was killed."""
    if (private / REMOVED_DIRECTORY).exists():
        shutil.rmtree(private / REMOVED_DIRECTORY)
