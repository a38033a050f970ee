"""Files written while the next epochs are trained."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self


class BackgroundWriter:
    """Carries out writes in a thread of their own, one after the other in the order they were given.

    The first write that fails ends everything: its error is raised by the next flush, and nothing after it is written,
    so that a file never tells of something that is not there. Leaving the context waits for what was given.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._waiting: list[Future[None]] = []
        self._has_failed = False

    def submit(self, write: Callable[..., None], *arguments: Any) -> None:
        """Gives ``write(*arguments)`` to the thread. What waits is held in memory: flush before much of it gathers."""
        self._waiting.append(self._executor.submit(self._write, write, arguments))

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
            self._executor.shutdown(wait=True)

    def _write(self, write: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        try:
            if not self._has_failed:
                write(*arguments)
        except BaseException:
            self._has_failed = True
            raise
