"""The one seam for parallel work: any ``concurrent.futures.Executor``.

Work is a pure function of paths and small values and returns a small receipt, so an executor of another process,
machine or cluster fits without the pipeline knowing.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any


class SerialExecutor(Executor):
    """Runs each call at once, in this process and thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs ``fn`` and returns a future that is already done. An interrupt is raised here, not kept."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - an executor hands every error to whoever asks for the result
            future.set_exception(error)
        return future

    def map(  # pyright: ignore[reportIncompatibleMethodOverride] - time-outs mean nothing in one thread
        self, fn: Callable[..., Any], *iterables: Iterable[Any]
    ) -> Iterator[Any]:
        """Yields ``fn`` of each item, running it when it is asked for, so that progress shows as it happens."""
        return map(fn, *iterables)
