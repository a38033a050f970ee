"""Every write of this process below a directory as an event, before it happens.

A write of content is an event when half of it is there. What a test does at an event is its own affair: take a copy of
the directory, which is what SIGKILL would leave at that moment, or raise what an operating system would.
"""

import contextlib
import hashlib
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

#: Called with the kind of the event and the file.
Handler = Callable[[str, str], None]


@contextlib.contextmanager
def watching_writes(root: Path, on_event: Handler) -> Iterator[None]:
    """Calls ``on_event`` at every event below ``root``; threads take turns, so that each event has its own state."""
    events = _Events(root, on_event)
    try:
        for name in events.real:
            setattr(os, name, getattr(events, name, None) or events.announced(name))
        io.open = events.open_file  # type: ignore[assignment]
        yield
    finally:
        for name, function in events.real.items():
            setattr(os, name, function)
        io.open = events.real_open


class Moments:
    """What SIGKILL would leave at each event: copies of a directory.

    States that differ only in what lies about, a half-written file beside the real one or an empty directory, are one
    moment, taken when there is most of it.
    """

    def __init__(self, root: Path, directory: Path) -> None:
        #: Copy → the last event before which the files were so.
        self.copies: dict[Path, str] = {}
        self.num_events = 0
        self._root, self._directory = root, directory

    def __call__(self, kind: str, path: str) -> None:
        self.num_events += 1
        files = [file for file in sorted(self._root.rglob("*")) if file.is_file() and file.suffix != ".partial"]
        content = [(str(file), file.read_bytes()) for file in files]
        copy = self._directory / hashlib.sha256(repr(content).encode()).hexdigest()
        if self._root.exists() and (
            copy not in self.copies or kind == "replace"
        ):  # then the half-written file is whole
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self._root, copy)
            self.copies[copy] = f"before {kind} {path}"


class _Events:
    """Stands for the functions that write."""

    def __init__(self, root: Path, on_event: Handler) -> None:
        self.turn = threading.RLock()
        names = ("mkdir", "replace", "link", "unlink", "rmdir", "fsync", "write", "open")
        self.real: dict[str, Any] = {name: getattr(os, name) for name in names}
        self.real_open = io.open
        self._root, self._on_event, self._is_handling = str(root), on_event, False
        self._paths: dict[int, str] = {}

    def announce(self, kind: str, path: str) -> None:
        if not self._is_handling:  # what the handler itself writes is no event
            self._is_handling = True
            try:
                self._on_event(kind, path)
            finally:
                self._is_handling = False

    def announced(self, kind: str) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **options: Any) -> Any:
            with self.turn:
                if self._is_inside(path) or options.get("dir_fd") is not None:  # the latter within shutil.rmtree
                    self.announce(kind, str(path))
                return self.real[kind](path, *args, **options)

        return call

    def open(self, path: Any, flags: int, *args: Any, **options: Any) -> int:
        with self.turn:
            if self._is_inside(path) and flags & (os.O_WRONLY | os.O_RDWR):
                self.announce("open", str(path))
            descriptor = self.real["open"](path, flags, *args, **options)
            self._paths[descriptor] = str(path)
            return descriptor

    def write(self, descriptor: int, content: bytes) -> int:
        path = self._paths.get(descriptor, "")
        if not self._is_inside(path):
            return self.real["write"](descriptor, content)
        with self.turn:
            written = self.real["write"](descriptor, content[: len(content) // 2])
            self.announce("write", path)
            return written + self.real["write"](descriptor, content[len(content) // 2 :])

    def fsync(self, descriptor: int) -> None:
        with self.turn:
            self.announce("fsync", "")
            self.real["fsync"](descriptor)

    def open_file(self, path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if not self._is_inside(path) or not set(mode) & set("wax+"):
            return self.real_open(path, mode, *args, **options)
        with self.turn:
            self.announce("open", str(path))
            file = self.real_open(path, mode, *args, **options)
            return _WatchedFile(file, self.turn, lambda: self.announce("write", str(path)))

    def _is_inside(self, path: Any) -> bool:
        return not isinstance(path, int) and str(path).startswith(self._root)


class _WatchedFile:
    """A file open for writing."""

    def __init__(self, file: Any, turn: threading.RLock, on_write: Callable[[], None]) -> None:
        self._file, self._turn, self._on_write = file, turn, on_write

    def write(self, content: Any) -> int:
        view = memoryview(content).cast("B")
        with self._turn:
            written = self._file.write(view[: len(view) // 2])
            self._file.flush()
            self._on_write()
            return written + self._file.write(view[len(view) // 2 :])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
