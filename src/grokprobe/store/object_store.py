"""Results in an object store: the only module that knows icechunk.

A repository of icechunk lies under the prefix of a URL. Its branch ``main`` is what readers see; one commit moves it
from one state to the next, whole or not at all, and never over a commit that somebody else made meanwhile.
"""

import asyncio
import contextlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Self

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest, Store
from zarr.buffer.cpu import Buffer as CpuBuffer
from zarr.buffer.cpu import buffer_prototype
from zarr.core.sync import sync
from zarr.storage import WrapperStore

from grokprobe.errors import StoreError, UsageError
from grokprobe.store.endpoint import check_endpoint, endpoint_options, find_endpoint
from grokprobe.store.urls import ObjectUrl
from grokprobe.version import __version__

if TYPE_CHECKING:
    import icechunk

BRANCH: Final = "main"
#: In the metadata of a commit: which publication it was.
PUBLICATION: Final = "grokprobe_publication"
#: Objects on their way at a time.
CONCURRENCY: Final = 32


class ObjectStore:
    """A repository, whether it exists or not."""

    def __init__(self, url: ObjectUrl, fault: type[StoreError] = StoreError) -> None:
        """Binds the repository at ``url``; sends nothing.

        Args:
            url: where it is.
            fault: what is raised where it cannot be reached.

        Raises:
            UsageError: icechunk is not installed.
        """
        self._url = url
        self._fault = fault
        #: icechunk.
        self.library: Any = _import_icechunk(url)
        self._found: icechunk.Repository | None = None

    def head(self) -> str | None:
        """Returns the newest commit; None where there is none, nor anything else.

        Raises:
            UsageError: to a reader there is no such bucket.
            StoreError: it cannot be reached.
        """
        with self.reaching():
            repository = self._open()
            if repository is None:
                return None
            return _unless_first(repository, sync(repository.lookup_branch_async(BRANCH)))

    def publications(self, head: str, until: str | None) -> Iterator[tuple[str, str]]:
        """Yields commits from ``head`` back to ``until``, which is left out, each with its publication."""
        with self.reaching():
            repository = self._open()
            for commit in repository.ancestry(snapshot_id=head) if repository is not None else ():
                if commit.id == until:
                    return
                yield commit.id, str(commit.metadata.get(PUBLICATION, ""))

    def zarr_store(self, commit: str) -> Store:
        """Returns the store of one commit, for reading."""
        with self.reaching():
            repository = self._open()
            assert repository is not None, "a commit is in a repository"  # noqa: S101 - whoever names one has seen it
            return _ReadStore(sync(repository.readonly_session_async(snapshot_id=commit)).store, self)

    def read(self, commit: str) -> Iterator[tuple[str, bytes]]:
        """Yields every key of one commit with its content."""
        store = self.zarr_store(commit)
        with self.reaching():
            keys = sync(_list(store))
            for batch in _batches(keys):
                contents = sync(store.get_partial_values(buffer_prototype, [(key, None) for key in batch]))
                yield from ((key, c.to_bytes()) for key, c in zip(batch, contents, strict=True) if c is not None)

    def begin(self, base: str | None) -> "Edit | None":
        """Returns an edit of the commit ``base``; None where that is not the newest any more.

        Args:
            base: the newest commit as far as known; None creates the repository.

        Raises:
            StoreWriteError: it cannot be written, or something else is under the prefix.
        """
        with self.reaching():
            repository = self._open()
            if repository is None:
                repository = self._found = sync(self.library.Repository.create_async(self._storage()))
            session = sync(repository.writable_session_async(BRANCH))
            return Edit(self, session) if _unless_first(repository, session.snapshot_id) == base else None

    @contextlib.contextmanager
    def reaching(self) -> Iterator[None]:
        """Turns an error of icechunk into one line that says what to do."""
        try:
            yield
        except self.library.IcechunkError as error:
            raise self._explained(_root_cause(str(error))) from error

    def _explained(self, cause: str) -> Exception:
        if "clean prefixes" in cause:
            return UsageError(
                f"expected results or nothing under {self._url}, found something else; name another prefix with --out"
            )
        if self._fault is StoreError and "NoSuchBucket" in cause:
            return UsageError(f"expected a results store, found nothing at {self._url}: {cause}")
        return self._fault(
            f"{self._url} cannot be reached: {cause}; what was there before is unchanged; see that the bucket exists,"
            " that the environment has credentials for it (AWS_ACCESS_KEY_ID and the like, or a profile) and, for"
            " another server than S3 itself, its address (AWS_ENDPOINT_URL), then give the same command again"
        )

    def _open(self) -> "icechunk.Repository | None":
        if self._found is None:
            self._check_endpoint()
            storage = self._storage()
            if sync(self.library.Repository.exists_async(storage)):
                self._found = sync(self.library.Repository.open_async(storage))
        return self._found

    def _storage(self) -> "icechunk.Storage":
        return self.library.s3_storage(bucket=self._url.bucket, prefix=self._url.prefix, **endpoint_options())

    def _check_endpoint(self) -> None:
        try:
            check_endpoint()
        except OSError as error:
            raise self._explained(f"{find_endpoint()}: {error.strerror or error}") from error


class _ReadStore(WrapperStore[Store]):
    """The store of a commit, of which a chunk that cannot be fetched is said in one line, too."""

    def __init__(self, store: Store, place: ObjectStore) -> None:
        super().__init__(store)
        self._place = place

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self._place)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        with self._place.reaching():
            return await super().get(key, prototype, byte_range)


class Edit:
    """Changes that become one commit."""

    def __init__(self, place: ObjectStore, session: "icechunk.Session") -> None:
        """Binds a writable session."""
        self._place = place
        self._session = session

    def put(self, contents: Iterable[tuple[str, bytes]]) -> None:
        """Sends contents, in no order: metadata of a node are to be sent before its chunks."""
        for batch in _batches(contents):
            with self._place.reaching():
                sync(_set(self._session.store, batch))

    def delete(self, keys: Iterable[str]) -> None:
        """Removes keys; with its metadata a node is removed whole."""
        with self._place.reaching():
            for key in keys:
                is_node = key.endswith("/zarr.json")
                store = self._session.store
                sync(store.delete_dir(key.removesuffix("/zarr.json")) if is_node else store.delete(key))

    def commit(self, publication: str) -> str | None:
        """Makes the changes the newest state, whole or not at all.

        Args:
            publication: in the metadata of the commit, by which it is known again.

        Returns:
            The commit; None where somebody else was faster.
        """
        with self._place.reaching():
            try:
                message = f"grokprobe {__version__}"
                return sync(self._session.commit_async(message, metadata={PUBLICATION: publication}))
            except self._place.library.ConflictError:
                return None


def _import_icechunk(url: ObjectUrl) -> Any:
    try:
        import icechunk  # noqa: PLC0415 - an extra, imported by who needs it
    except ModuleNotFoundError as error:
        raise UsageError(f"{url}: object stores need an extra: pip install 'grokprobe[icechunk]'") from error
    if "ICECHUNK_LOG" not in os.environ:
        icechunk.set_logs_filter("off")  # what matters of it is raised, and said in one line
    return icechunk


def _unless_first(repository: "icechunk.Repository", commit: str) -> str | None:
    """Returns a commit, or None for the empty one with which every repository begins."""
    return commit if sync(repository.lookup_snapshot_async(commit)).parent_id is not None else None


def _root_cause(message: str) -> str:
    """Returns the last line of an error of icechunk, which is the cause of all others."""
    cause = message.strip().splitlines()[-1].lstrip(" |`->")
    service = re.search(r'code: "(.*?)", message: "(.*?)"', cause)
    return ": ".join(service.groups()) if service else cause


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, CONCURRENCY)):
        yield batch


async def _list(store: Store) -> list[str]:
    return [key async for key in store.list_prefix("")]


async def _set(store: Store, contents: list[tuple[str, bytes]]) -> None:
    await asyncio.gather(*(store.set(key, CpuBuffer.from_bytes(content)) for key, content in contents))
