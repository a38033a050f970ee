"""The files of a directory tree, in an order that does not depend on the file system."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grokprobe.atomic import PARTIAL_SUFFIX
from grokprobe.checkpoints.formats import DISTRIBUTED_INDEX, DISTRIBUTED_SUFFIX
from grokprobe.checkpoints.runs import SkippedFile
from grokprobe.errors import UsageError

#: A directory that holds one of these is an array store, not a place of checkpoints.
ZARR_FILES: Final = frozenset({"zarr.json", ".zgroup", ".zarray"})
_DIGITS: Final = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One directory with its own files."""

    path: Path
    #: Regular files that are neither hidden nor half-written, in natural order.
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Everything under a root."""

    #: Absolute path of the root.
    root: Path
    #: Every directory once, in natural order; directories that are links come last.
    directories: tuple[Directory, ...]
    #: What is no regular file (a pipe, a device).
    irregular: tuple[SkippedFile, ...]
    #: What could not be listed.
    unreadable: tuple[SkippedFile, ...]


def walk_tree(root: Path) -> Tree:
    """Lists the files under ``root`` without reading or matching names.

    Hidden entries (but for the ``.metadata`` of a distributed checkpoint), half-written files and zarr stores are left
    out. Links are followed; a directory is visited once,
    under its own name rather than a link's where both are in the tree, so loops of links end.

    Raises:
        UsageError: nothing there, a zarr store, or no files.
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100 - links in the user's own path keep the names they say
    try:
        mode = root.stat().st_mode
    except FileNotFoundError as error:
        raise UsageError(f"expected a directory of checkpoints, found nothing at {root}") from error
    except OSError as error:
        raise UsageError(f"{root}: cannot be opened: {error.strerror or error}") from error
    if not stat.S_ISDIR(mode):
        return Tree(root=root, directories=(Directory(path=root.parent, files=(root,)),), irregular=(), unreadable=())
    walk = _Walk()
    walk.run(root)
    if any((root / name).exists() for name in ZARR_FILES):
        raise UsageError(f"expected a directory of checkpoints, found a zarr store at {root}")
    if not (walk.irregular or walk.unreadable or any(directory.files for directory in walk.directories)):
        raise UsageError(f"expected a directory of checkpoints, found no files in {root}")
    return Tree(
        root=root,
        directories=tuple(walk.directories),
        irregular=tuple(walk.irregular),
        unreadable=tuple(walk.unreadable),
    )


def natural_key(path: Path) -> tuple[tuple[object, ...], ...]:
    """Returns a sort key under which ``scale_2`` comes before ``scale_10``.

    Example:
        >>> assert sorted(map(Path, ["s_10", "s_2"]), key=natural_key) == [Path("s_2"), Path("s_10")]
    """
    # text stands at even places and numbers at odd ones, so like is compared with like; the name itself ends all ties
    return tuple(
        (tuple(int(part) if place % 2 else part for place, part in enumerate(_DIGITS.split(name))), name)
        for name in path.parts
    )


class _Walk:
    """The state of one walk."""

    def __init__(self) -> None:
        self.directories: list[Directory] = []
        self.irregular: list[SkippedFile] = []
        self.unreadable: list[SkippedFile] = []
        self._visited: set[tuple[int, int]] = set()

    def run(self, root: Path) -> None:
        real, links = [root], list[Path]()
        while real or links:
            self._visit(real.pop() if real else links.pop(0), real, links)

    def _visit(self, directory: Path, real: list[Path], links: list[Path]) -> None:
        files: list[Path] = []
        below: list[Path] = []
        try:
            status = directory.stat()
            if (status.st_dev, status.st_ino) in self._visited:
                return
            self._visited.add((status.st_dev, status.st_ino))
            entries = sorted(directory.iterdir(), key=natural_key)
        except OSError as error:
            self.unreadable.append(SkippedFile(path=directory, reason=f"cannot be listed: {error.strerror or error}"))
            return
        if not ZARR_FILES.isdisjoint(entry.name for entry in entries):
            return
        if any(entry.name.endswith(DISTRIBUTED_SUFFIX) for entry in entries):
            index = directory / DISTRIBUTED_INDEX
            files.extend([index] if index.is_file() else [])
        for entry in entries:
            if not entry.name.startswith(".") and not entry.name.endswith(PARTIAL_SUFFIX):
                self._sort_in(entry, files, below, links)
        real.extend(reversed(below))
        self.directories.append(Directory(path=directory, files=tuple(files)))

    def _sort_in(self, entry: Path, files: list[Path], below: list[Path], links: list[Path]) -> None:
        try:
            mode = entry.stat().st_mode
        except OSError as error:
            self.unreadable.append(SkippedFile(path=entry, reason=f"cannot be opened: {error.strerror or error}"))
            return
        if stat.S_ISDIR(mode):
            (links if entry.is_symlink() else below).append(entry)
        elif stat.S_ISREG(mode):
            files.append(entry)
        else:
            self.irregular.append(SkippedFile(path=entry, reason="not a regular file"))
