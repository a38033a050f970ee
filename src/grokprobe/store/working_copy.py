"""Results in an object store, written through a copy on this machine.

Everything that writes results works on a directory; the working copy is one. It is fetched when it is opened, and what
changed is committed whenever the store is published: the ledger and the results in one commit, so that neither is ever
there without the other. The copy stays for the next time; without it, it is fetched again.
"""

import contextlib
import hashlib
import itertools
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from grokprobe.atomic import write_atomically
from grokprobe.cache_directory import cache_directory
from grokprobe.errors import StoreError, StoreWriteError, reporting_write_errors
from grokprobe.store.endpoint import find_endpoint
from grokprobe.store.exchange import METADATA, digest, ledger_digests, read_keys, write_keys
from grokprobe.store.object_store import ObjectStore
from grokprobe.store.results import PRIVATE_DIRECTORY, check_root
from grokprobe.store.urls import ObjectUrl

#: In the user's cache directory: one directory for every URL.
COPIES: Final = "object-stores"


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """A state of the object store that a working copy knows."""

    #: Its commit; None where there is none yet.
    commit: str | None = None
    #: Digest of the content of every key.
    digests: Mapping[str, str] = field(default_factory=dict)
    #: Digest of each file of the ledger.
    ledger: Mapping[str, str] = field(default_factory=dict)
    #: What its commit is known by.
    publication: str = ""


class WorkingCopy:
    """A directory that holds what is at a URL, and what was added since."""

    def __init__(self, url: ObjectUrl, directory: Path) -> None:
        """Binds the working copy in ``directory``.

        Raises:
            UsageError: icechunk is not installed.
        """
        #: Where the results are written.
        self.path = directory / "results.zarr"
        self._url = url
        self._record = directory / "record.json"
        self._remote = ObjectStore(url, StoreWriteError)
        self._known: _State = _State()

    @classmethod
    @contextlib.contextmanager
    def open(cls, url: ObjectUrl) -> Iterator["WorkingCopy"]:
        """Brings the working copy of ``url`` up to date and holds its lock.

        Raises:
            UsageError: icechunk is not installed.
            StoreError: another process of this machine holds it, or both sides have changed.
            StoreWriteError: the object store cannot be reached, or the copy cannot be written.
        """
        name = hashlib.sha256(f"{find_endpoint()} {url}".encode()).hexdigest()[:16]
        directory = cache_directory() / COPIES / name
        copy = cls(url, directory)
        with reporting_write_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
            lock = FileLock(directory / "lock")
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise StoreError(f"{url} is being written by another process; wait until it ends") from error
        try:
            with reporting_write_errors(directory):
                copy._bring_up_to_date()
            yield copy
        finally:
            lock.release()

    def publish(self) -> None:
        """Commits what changed since the last time; nothing if nothing did.

        Raises:
            StoreError: somebody else has committed meanwhile; what was measured here stays here.
            StoreWriteError: the object store cannot be reached; the same.
        """
        digests: dict[str, str] = {}
        if not any(True for _ in self._changed(digests)) and digests.keys() == self._known.digests.keys():
            return
        edit = self._remote.begin(self._known.commit)
        if edit is None and self._recognize():
            edit = self._remote.begin(self._known.commit)
        if edit is None:
            raise self._conflict()
        ledger, digests = ledger_digests(self.path), {}
        for _, keys in itertools.groupby(self._changed(digests), key=lambda item: item[0].endswith(METADATA)):
            edit.put(keys)
        edit.delete(sorted(self._known.digests.keys() - digests.keys()))
        planned = _State(digests=digests, ledger=ledger, publication=uuid.uuid4().hex)
        self._write_record(self._known, planned)
        commit = edit.commit(planned.publication)
        if commit is not None:
            self._known = replace(planned, commit=commit)
        elif not self._recognize():
            raise self._conflict()
        self._write_record(self._known)

    def _recognize(self) -> bool:
        """Takes over the last commit of this copy if it came through unnoticed; says whether it is the newest."""
        head = self._remote.head()
        self._known = self._find_known(head, json.loads(self._record.read_text()))
        return head == self._known.commit

    def _changed(self, digests: dict[str, str]) -> Iterator[tuple[str, bytes]]:
        """Yields the keys that differ from the known state, and fills ``digests`` with those of all."""
        for key, content in read_keys(self.path):
            digests[key] = digest(content)
            if digests[key] != self._known.digests.get(key):
                yield key, content

    def _bring_up_to_date(self) -> None:
        """Takes over what the object store has, unless this copy has results that it has not."""
        if self._record.exists() and self.path.exists():
            is_newest = self._recognize()
            ledger = ledger_digests(self.path)
            if is_newest and self._is_whole(ledger):
                return
            if not is_newest and not ledger.items() <= self._known.ledger.items():
                raise self._conflict()
        self._fetch(self._remote.head())

    def _is_whole(self, ledger: Mapping[str, str]) -> bool:
        """Whether nobody has deleted files of the copy, as where a cache is purged of old ones."""
        keys = [key for key in self._known.digests if not key.startswith(f"{PRIVATE_DIRECTORY}/")]
        return ledger.keys() >= self._known.ledger.keys() and all((self.path / key).exists() for key in keys)

    def _find_known(self, head: str | None, record: Mapping[str, Any]) -> _State:
        """Returns the state of the last commit; one that was under way counts if it came through."""
        known = _State(**record["known"])
        if record["planned"] is None or head is None:
            return known
        planned = _State(**record["planned"])
        for commit, publication in self._remote.publications(head, known.commit):
            if publication == planned.publication:
                return replace(planned, commit=commit)
        return known

    def _fetch(self, head: str | None) -> None:
        """Replaces the copy. It has no record meanwhile: without one there is nothing in it that is not elsewhere."""
        fetched = self.path.with_name("fetched.zarr")
        shutil.rmtree(fetched, ignore_errors=True)
        digests: dict[str, str] = {}
        if head is not None:
            check_root(self._remote.zarr_store(head), self._url)
            write_keys(fetched, _noting(self._remote.read(head), digests))
        self._record.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
        if head is not None:
            fetched.replace(self.path)
        self._known = _State(commit=head, digests=digests, ledger=ledger_digests(self.path))
        self._write_record(self._known)

    def _write_record(self, known: _State, planned: _State | None = None) -> None:
        content = {
            "url": str(self._url),
            "known": asdict(known),
            "planned": None if planned is None else asdict(planned),
        }
        with reporting_write_errors(self._record):
            write_atomically(self._record, json.dumps(content).encode())

    def _conflict(self) -> StoreError:
        return StoreError(
            f"{self._url} was changed by somebody else since it was read here, and this machine has results that are"
            f" not in it; they are kept in {self.path}; move that directory away, then give the same command again:"
            " it goes on from what is in the object store and measures what is not there"
        )


def _noting(keys: Iterator[tuple[str, bytes]], digests: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    for key, content in keys:
        digests[key] = digest(content)
        yield key, content
