"""Who writes a store at this moment, beside whoever holds its lock.

Each piece of work, and each process of several that share an analysis, holds a lock file of its own while it writes
work cells. Whoever is about to change the structure of the store sees by them that somebody writes into it still, even
where the process that gave that work has died. A file that nobody holds was left by a kill: half-written files of its
work may lie about.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from grokprobe.errors import StoreError, UsageError, reporting_write_errors
from grokprobe.progress import Progress

_SHARD: Final = re.compile(r"shard-(\d+)-of-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of several processes that are given the same analysis and measure a part of it each."""

    #: Which one, from 1.
    number: int
    #: How many there are.
    count: int

    def __post_init__(self) -> None:
        """Raises a UsageError for a number outside 1 … count."""
        if not 1 <= self.number <= self.count:
            raise UsageError(f"--shard: expected I/N with 1 ≤ I ≤ N, found {self}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Returns the shard that ``I/N`` means.

        Raises:
            UsageError: it means none.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None:
            raise UsageError(f"--shard: expected I/N with 1 ≤ I ≤ N, found {text!r}")
        return cls(number=int(match[1]), count=int(match[2]))

    @property
    def writer(self) -> str:
        """Name of its lock file."""
        return f"shard-{self.number}-of-{self.count}"

    def owns(self, number: int) -> bool:
        """Whether the piece of work of that number is its own."""
        return number % self.count == self.number - 1


class Writers:
    """The lock files of those who write a store, without its lock."""

    def __init__(self, directory: Path) -> None:
        """Binds the directory of the lock files; touches no file."""
        self._directory = directory

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[bool]:
        """Holds the lock file ``name``, waiting for whoever holds it, and removes it at the end if all went well.

        Yields:
            Whether the file was there before: the same work was begun, and its end is not known. Then the file stays,
            so that whoever tidies the store knows of it.

        Raises:
            StoreWriteError: the file cannot be made or removed.
        """
        path = self._directory / f"{name}.lock"
        with reporting_write_errors(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            was_there = path.exists()
            lock = FileLock(path)
            lock.acquire()
        try:
            yield was_there
            if not was_there:
                with reporting_write_errors(self._directory):
                    path.unlink(missing_ok=True)
        finally:
            lock.release()

    def check_company(self, path: Path, shard: Shard | None) -> list[str]:
        """Returns the names of those who write now, beside whom a process may open a store.

        Args:
            path: of the store.
            shard: what the process is; None if it wants to be alone.

        Raises:
            StoreError: it must not be opened beside one of them.
        """
        others = self.alive()
        if others and shard is None:
            raise StoreError(
                f"{path} is being written by {len(others)} other processes or calls, such as {others[0]}; wait until"
                " they end, or write elsewhere with --out"
            )
        for match in filter(None, map(_SHARD.fullmatch, others)):
            if shard is not None and (match[0] == shard.writer or int(match[2]) != shard.count):
                raise StoreError(
                    f"{path} is being written by shard {match[1]}/{match[2]}, beside which shard {shard} would measure"
                    " the same; wait until it ends"
                )
        return others

    def alive(self) -> list[str]:
        """Returns the names of those who write now."""
        return [path.stem for path in self._files() if _is_held(path)]

    def forget_dead(self) -> bool:
        """Removes what kills have left, and returns whether there was something."""
        dead = [path for path in self._files() if not _is_held(path)]
        for path in dead:
            path.unlink(missing_ok=True)
        return bool(dead)

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("*.lock"))


def acquire_at_once(lock: FileLock, path: Path) -> None:
    """Takes the lock of the store at ``path``.

    Raises:
        StoreError: another process holds it.
    """
    try:
        lock.acquire(timeout=0)
    except Timeout as error:  # an OSError itself, so it is told apart here
        raise StoreError(
            f"{path} is being written by another process; wait until it ends, or write elsewhere with --out"
        ) from error


def acquire_patiently(lock: FileLock, path: Path, progress: Progress) -> None:
    """Takes the lock of the store at ``path``, waiting for whoever holds it, and says so."""
    with contextlib.suppress(Timeout):
        lock.acquire(timeout=0)
        return
    progress.start(f"waiting for a process that plans or ends its work in {path}", 1)
    try:
        while not lock.is_locked:
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=1)
            progress.advance(0)
    finally:
        progress.finish()


def _is_held(path: Path) -> bool:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
