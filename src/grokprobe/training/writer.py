"""Files written while the next epochs are trained."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

#: A disk confirms as many small files at once about as fast as one.
NUM_THREADS: Final = 8


class BackgroundWriter:
    """Carries out writes in threads of their own: those of one directory one after the other in the order given.

    The first write that fails ends everything: its error is raised by the next flush, and nothing that was begun after
    it is written, so that a file never tells of something that is not there. Leaving the context waits for what was
    given.
    """

    def __init__(self) -> None:
        self._executors: list[ThreadPoolExecutor] = []
        self._numbers: dict[Path, int] = {}
        self._waiting: list[Future[None]] = []
        self._has_failed = False

    def submit(self, directory: Path, write: Callable[..., None], *arguments: Any) -> None:
        """Gives ``write(directory, *arguments)`` to the directory's thread.

        What waits is held in memory: flush before much of it gathers.
        """
        number = self._numbers.setdefault(directory, len(self._numbers)) % NUM_THREADS
        if number == len(self._executors):
            self._executors.append(ThreadPoolExecutor(1, thread_name_prefix="writer"))
        self._waiting.append(self._executors[number].submit(self._write, write, (directory, *arguments)))

    def flush(self) -> None:
        """Waits until everything given so far is on disk."""
        while self._waiting:
            self._waiting.pop(0).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.flush()
        finally:
            for executor in self._executors:
                executor.shutdown(wait=True)

    def _write(self, write: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        try:
            if not self._has_failed:
                write(*arguments)
        except BaseException:
            self._has_failed = True
            raise
