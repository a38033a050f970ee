"""A results store: one zarr v3 hierarchy, its ledger, its lock, and the moment at which new results become visible.

Work is written into chunks beyond what readers see; :meth:`ResultsStore.publish` consolidates the metadata, one atomic
rename, and that is when readers see it. A process killed at any moment leaves the last published state whole.
"""

import contextlib
import functools
import json
import operator
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import zarr
from filelock import FileLock, Timeout
from zarr.abc.store import Store
from zarr.errors import ZarrUserWarning

from grokprobe import names
from grokprobe.atomic import PARTIAL_SUFFIX, write_atomically
from grokprobe.errors import StoreError, UsageError, reporting_write_errors
from grokprobe.progress import Progress, SilentProgress
from grokprobe.store.cube import Cube
from grokprobe.store.fixed import FixedCube, structure_error
from grokprobe.store.removal import delete_discarded, discard
from grokprobe.store.writers import Shard, Writers, acquire_at_once, acquire_patiently

FORMAT_ATTRIBUTE: Final = "grokprobe_format"
#: Version of the store's layout. A reader refuses a newer one.
FORMAT_VERSION: Final = 1
#: Directory for everything that is no result: ledger, lock, caches. zarr does not see it.
PRIVATE_DIRECTORY: Final = ".grokprobe"
#: Epochs per work cell.
BLOCK: Final = 32
#: In the private directory while a process writes; stays behind if it did not end well.
UNFINISHED_MARK: Final = "writing"
#: A store without results, consolidated: it can be opened from its first moment on.
_EMPTY_ROOT: Final = {
    "attributes": {FORMAT_ATTRIBUTE: FORMAT_VERSION, "Conventions": "CF-1.11"},
    "zarr_format": 3,
    "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": {}},
    "node_type": "group",
}


class ResultsStore:
    """A store. Whoever changes its structure holds its lock by :meth:`open`; a worker writes work cells without.

    Several processes may share one analysis, each a :class:`~grokprobe.store.writers.Shard` of it. Then each holds the
    lock while it plans and while it derives and publishes, and not in between (:meth:`measuring`). While one of them
    measures, the structure stays as it is: whoever wants another one is refused.
    """

    def __init__(self, path: Path, on_publish: Callable[[], None] = lambda: None) -> None:
        """Binds the store at ``path``; touches no file.

        Args:
            path: where it is.
            on_publish: called after each publication.
        """
        #: Where the store is.
        self.path = path
        #: Where its ledger is.
        self.ledger = path / PRIVATE_DIRECTORY / "ledger"
        #: Who writes work cells into it.
        self.writers = Writers(path / PRIVATE_DIRECTORY / "writers")
        #: Whether its structure must stay as it is, because other processes write into it now.
        self.is_fixed = False
        self._on_publish = on_publish
        self._release: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
        self._lock_meanwhile: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        path: Path,
        on_publish: Callable[[], None] = lambda: None,
        shard: Shard | None = None,
        progress: Progress | None = None,
    ) -> Iterator["ResultsStore"]:
        """Opens or creates the store at ``path`` and holds its lock.

        Args:
            path: where it is.
            on_publish: called after each publication.
            shard: which part of a shared analysis this process is; it waits for the lock. None to be alone.
            progress: told of the waiting.

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
        patiently = functools.partial(acquire_patiently, lock, path, progress or SilentProgress())
        with reporting_write_errors(path):
            acquire_at_once(lock, path) if shard is None else patiently()
        try:
            store = cls(path, on_publish)
            others = store.writers.check_company(path, shard)
            with reporting_write_errors(path):
                if (private / UNFINISHED_MARK).exists() and not others:
                    _repair(path)
                    store.writers.forget_dead()
                (private / UNFINISHED_MARK).touch()  # before the first file that a kill can leave half-written
                if not (path / "zarr.json").exists():
                    write_atomically(path / "zarr.json", json.dumps(_EMPTY_ROOT, indent=2).encode())
            if shard is not None:
                store._share(lock, patiently, shard, is_fixed=bool(others))
            yield store
            with reporting_write_errors(path):
                if not store.writers.alive():  # reached only where nothing was raised
                    if store.writers.forget_dead() or shard is not None:
                        _repair(path)
                    (private / UNFINISHED_MARK).unlink(missing_ok=True)
        except UsageError:
            if is_new and shard is None and not cls(path).experiments():
                shutil.rmtree(path)  # a request that could not be carried out leaves nothing behind
            raise
        finally:
            lock.release()

    def _share(self, lock: FileLock, patiently: Callable[[], None], shard: Shard, *, is_fixed: bool) -> None:
        @contextlib.contextmanager
        def release() -> Iterator[None]:
            with self.writers.hold(shard.writer):
                lock.release()
                try:
                    yield
                finally:
                    patiently()
                    self.is_fixed = False

        self.is_fixed = is_fixed
        self._release = release
        self._lock_meanwhile = lambda: lock.acquire(timeout=0)

    def measuring(self) -> contextlib.AbstractContextManager[None]:
        """Is entered where work cells are written and nothing else; the lock of a shared store is free meanwhile."""
        return self._release()

    def publish_meanwhile(self) -> None:
        """Publishes while work cells are written, unless another process of the same analysis does it just now."""
        with contextlib.suppress(Timeout), self._lock_meanwhile():
            self.publish()

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
        if replace and self.experiments()[name] != dict(attributes):
            self._change_structure()
            zarr.open_group(self.path, path=name, mode="r+").attrs.put(dict(attributes))

    def cube(self, path: str, *, leading: tuple[str, ...] = names.LEADING_DIMS, block: int = BLOCK) -> Cube:
        """Returns the group ``path`` below an experiment, whether it exists or not."""
        for parent in list(Path(path).parents)[-3:-1]:
            self._require_group(parent.as_posix(), {})
        kind = FixedCube if self.is_fixed else Cube
        return kind(self.path, path, leading=leading, block=block)

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
        self._change_structure()
        root = self.path / "zarr.json"
        document = json.loads(root.read_text())
        metadata = document.get("consolidated_metadata", {}).get("metadata", {})
        for key in [key for key in metadata if key == path or key.startswith(f"{path}/")]:
            del metadata[key]
        write_atomically(root, json.dumps(document, indent=2).encode())
        discard(self.path / path, self.path / PRIVATE_DIRECTORY)

    def publish(self) -> None:
        """Makes everything written so far visible to readers, in one atomic rename.

        The groups must not be half-grown: readers would find dimensions that contradict each other.
        """
        with reporting_write_errors(self.path):
            consolidate(self.path)
        self._on_publish()

    def _require_group(self, path: str, attributes: Mapping[str, Any]) -> None:
        if not (self.path / path / "zarr.json").exists():
            self._change_structure()
            zarr.create_group(self.path, path=path, attributes=dict(attributes))

    def _change_structure(self) -> None:
        if self.is_fixed:
            raise structure_error(self.path)


def check_format(path: Path, *, may_be_absent: bool = False) -> None:
    """Raises unless ``path`` is a results store that this version can use.

    Raises:
        UsageError: it is absent, or something else.
        StoreError: its format is newer.
    """
    entries = {entry.name for entry in path.iterdir()} - {PRIVATE_DIRECTORY} if path.is_dir() else set()
    entries = {name for name in entries if not name.endswith(PARTIAL_SUFFIX)}  # its first file is being written
    if may_be_absent and not entries and (path.is_dir() or not path.exists()):
        return
    if not path.exists():
        raise UsageError(f"expected a results store, found nothing at {path}")
    try:
        attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        attributes = {}
    _check_version(attributes, path, _WRITTEN if may_be_absent else _READ)


def check_root(store: Store, where: object) -> None:
    """Raises unless a zarr store holds results that this version can use.

    Args:
        store: of which the root is read.
        where: what to call it.

    Raises:
        UsageError: it holds something else.
        StoreError: its format is newer.
    """
    try:
        attributes = dict(zarr.open_group(store, mode="r").attrs)
    except FileNotFoundError:
        attributes = {}
    _check_version(attributes, where, _READ)


#: What to do about something else than a store where one is to be written, and where one is to be read.
_WRITTEN: Final = "name another path with --out"
_READ: Final = "name what grokprobe analyze has written; checkpoints are measured first"


def _check_version(attributes: Any, where: object, advice: str) -> None:
    try:
        version = operator.index(attributes[FORMAT_ATTRIBUTE])
    except (KeyError, TypeError) as error:
        raise UsageError(f"expected a results store, found something else at {where}; {advice}") from error
    if version > FORMAT_VERSION:
        raise StoreError(
            f"{where} has format {version}, this version reads up to {FORMAT_VERSION}; install a newer grokprobe"
        )


def consolidate(path: Path) -> None:
    """Makes everything below ``path`` visible to readers, in one atomic rename."""
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
    delete_discarded(path / PRIVATE_DIRECTORY)
    for partial in path.rglob(f"*{PARTIAL_SUFFIX}"):
        partial.unlink()
    for status in path.rglob(f"{names.STATUS}/zarr.json"):
        group = status.parent.parent
        leading = names.LEADING_DIMS if (group / names.EPOCH).exists() else names.SUMMARY_DIMS
        Cube(path, group.relative_to(path).as_posix(), leading=leading, block=BLOCK).grow({})
