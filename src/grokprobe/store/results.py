"""A results store: one zarr v3 hierarchy, its ledger, its lock, and the moment at which new results become visible.

Work is written into chunks beyond what readers see; :meth:`ResultsStore.publish` consolidates the metadata, one atomic
rename, and that is when readers see it. A process killed at any moment leaves the last published state whole.
"""

import contextlib
import json
import operator
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import zarr
from filelock import FileLock, Timeout
from zarr.errors import ZarrUserWarning

from grokprobe import names
from grokprobe.atomic import PARTIAL_SUFFIX, write_atomically
from grokprobe.errors import StoreError, UsageError, reporting_write_errors
from grokprobe.store.cube import Cube

FORMAT_ATTRIBUTE: Final = "grokprobe_format"
#: Version of the store's layout. A reader refuses a newer one.
FORMAT_VERSION: Final = 1
#: Directory for everything that is no result: ledger, lock, caches. zarr does not see it.
PRIVATE_DIRECTORY: Final = ".grokprobe"
#: Epochs per work cell.
BLOCK: Final = 32
#: In the private directory while a process writes; stays behind if it did not end well.
UNFINISHED_MARK: Final = "writing"


class ResultsStore:
    """A store. Whoever changes its structure holds its lock by :meth:`open`; a worker writes work cells without."""

    def __init__(self, path: Path) -> None:
        """Binds the store at ``path``; touches no file."""
        #: Where the store is.
        self.path = path
        #: Where its ledger is.
        self.ledger = path / PRIVATE_DIRECTORY / "ledger"

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator["ResultsStore"]:
        """Opens or creates the store at ``path`` and holds its lock.

        Raises:
            UsageError: something else is at ``path``.
            StoreError: another process is writing it, or its format is newer than this version.
            StoreWriteError: it cannot be written.
        """
        check_format(path, may_be_absent=True)
        is_new = not path.exists()
        private = path / PRIVATE_DIRECTORY
        with reporting_write_errors(path):
            private.mkdir(parents=True, exist_ok=True)
        lock = FileLock(private / "lock")
        with reporting_write_errors(path):
            _acquire(lock, path)
        try:
            with reporting_write_errors(path):
                if (private / UNFINISHED_MARK).exists():
                    _repair(path)
                if not (path / "zarr.json").exists():
                    attributes = {FORMAT_ATTRIBUTE: FORMAT_VERSION, "Conventions": "CF-1.11"}
                    zarr.create_group(path, attributes=attributes)
                    _consolidate(path)
                (private / UNFINISHED_MARK).touch()
            yield cls(path)
            (private / UNFINISHED_MARK).unlink()  # reached only where nothing was raised
        except UsageError:
            if is_new and not cls(path).experiments():
                shutil.rmtree(path)  # a request that could not be carried out leaves nothing behind
            raise
        finally:
            lock.release()

    def experiments(self) -> dict[str, dict[str, Any]]:
        """Returns the attributes of every experiment by name, published or not."""
        return {
            directory.name: dict(zarr.open_group(self.path, path=directory.name, mode="r").attrs)
            for directory in sorted(self.path.iterdir())
            if directory.name != PRIVATE_DIRECTORY and (directory / "zarr.json").exists()
        }

    def create_experiment(self, name: str, attributes: Mapping[str, Any], *, replace: bool = False) -> None:
        """Creates the group of an experiment, unless it exists; then its attributes are replaced if asked."""
        self._require_group(name, attributes)
        if replace:
            zarr.open_group(self.path, path=name, mode="r+").attrs.put(dict(attributes))

    def cube(self, path: str, *, leading: tuple[str, ...] = names.LEADING_DIMS, block: int = BLOCK) -> Cube:
        """Returns the group ``path`` below an experiment, whether it exists or not."""
        for parent in list(Path(path).parents)[-3:-1]:
            self._require_group(parent.as_posix(), {})
        return Cube(self.path, path, leading=leading, block=block)

    def measured_groups(self, experiment: str) -> list[str]:
        """Returns the groups of an experiment that share one order of coordinates: those measured at checkpoints."""
        kinds = [self.path / experiment / kind for kind in (names.PROBES, names.COMPRESSORS, names.GEOMETRY)]
        groups = [
            f"{experiment}/{kind.name}/{child.name}" for kind in kinds if kind.is_dir() for child in kind.iterdir()
        ]
        history = Cube(self.path, f"{experiment}/{names.HISTORY}", block=BLOCK)
        if history.exists and history.attributes.get("measure") == names.HISTORY:
            groups.append(history.path)
        return sorted(path for path in groups if (self.path / path / "zarr.json").exists())

    def remove(self, path: str) -> None:
        """Removes a group: first from what readers see, then from disk."""
        root = self.path / "zarr.json"
        document = json.loads(root.read_text())
        metadata = document.get("consolidated_metadata", {}).get("metadata", {})
        for key in [key for key in metadata if key == path or key.startswith(f"{path}/")]:
            del metadata[key]
        write_atomically(root, json.dumps(document, indent=2).encode())
        shutil.rmtree(self.path / path)

    def publish(self) -> None:
        """Makes everything written so far visible to readers, in one atomic rename.

        The groups must not be half-grown: readers would find dimensions that contradict each other.
        """
        with reporting_write_errors(self.path):
            _consolidate(self.path)

    def _require_group(self, path: str, attributes: Mapping[str, Any]) -> None:
        if not (self.path / path / "zarr.json").exists():
            zarr.create_group(self.path, path=path, attributes=dict(attributes))


def check_format(path: Path, *, may_be_absent: bool = False) -> None:
    """Raises unless ``path`` is a results store that this version can use.

    Raises:
        UsageError: it is absent, or something else.
        StoreError: its format is newer.
    """
    entries = {entry.name for entry in path.iterdir()} - {PRIVATE_DIRECTORY} if path.is_dir() else set()
    if may_be_absent and not entries and (path.is_dir() or not path.exists()):
        return
    if not path.exists():
        raise UsageError(f"expected a results store, found nothing at {path}")
    root = path / "zarr.json"
    try:
        version = operator.index(json.loads(root.read_text())["attributes"][FORMAT_ATTRIBUTE])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"expected a results store, found something else at {path}; name another path with --out"
        ) from error
    if version > FORMAT_VERSION:
        raise StoreError(
            f"{path} has format {version}, this version reads up to {FORMAT_VERSION}; install a newer grokprobe"
        )


def _acquire(lock: FileLock, path: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout as error:  # an OSError itself, so it is told apart here
        raise StoreError(
            f"{path} is being written by another process; wait until it ends, or write elsewhere with --out"
        ) from error


def _consolidate(path: Path) -> None:
    with warnings.catch_warnings():
        # Consolidated metadata are an extension of zarr v3, and the private directory is no zarr node: both are meant.
        warnings.filterwarnings(
            "ignore", message="Consolidated metadata is currently not part", category=ZarrUserWarning
        )
        warnings.filterwarnings(
            "ignore", message=f"Object at {PRIVATE_DIRECTORY} is not recog", category=ZarrUserWarning
        )
        zarr.consolidate_metadata(path)


def _repair(path: Path) -> None:
    """Removes files that were left half-written, and brings half-grown groups to one length again."""
    for partial in path.rglob(f"*{PARTIAL_SUFFIX}"):
        partial.unlink()
    for status in path.rglob(f"{names.STATUS}/zarr.json"):
        group = status.parent.parent
        leading = names.LEADING_DIMS if (group / names.EPOCH).exists() else names.SUMMARY_DIMS
        Cube(path, group.relative_to(path).as_posix(), leading=leading, block=BLOCK).grow({})
