"""Work in this process."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from grokprobe.executors.workers import Workers


class SerialExecutor(Workers):
    """Runs each call at once, in this process and thread."""

    @property
    def num_workers(self) -> int:
        """One."""
        return 1

    def stop(self) -> None:
        """Does nothing: no call outlives its submission."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs ``fn`` and returns a future that is already done. An interrupt is raised here, not kept."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - an executor hands every error to whoever asks for the result
            future.set_exception(error)
        return future
