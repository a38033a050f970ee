"""Work on a cluster of Dask, on this machine or anywhere; the only module that knows ``distributed``."""

import contextlib
import functools
import logging
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from grokprobe.errors import UsageError, WorkerError
from grokprobe.executors.workers import IS_UNWANTED, Workers

if TYPE_CHECKING:
    import distributed

#: ``local:4`` is a cluster of four processes on this machine, for the time of the command.
LOCAL: Final = re.compile(r"local:([1-9][0-9]*)")
#: Calls submitted beyond those that run, so that no worker waits for the next, and a cluster that adapts can grow.
AHEAD: Final = 2
#: Seconds until a scheduler that does not answer is given up.
CONNECT_SECONDS: Final = 20


class ClusterWorkers(Workers):
    """The workers of a cluster. They see the same files under the same paths."""

    def __init__(self, client: "distributed.Client", num_own: int | None) -> None:
        """Binds a client.

        Args:
            client: of the cluster.
            num_own: number of workers of a cluster that was started for us; None for somebody else's.
        """
        self.client = client
        self._num_own = num_own
        self._executor = client.get_executor(pure=False)

    @property
    def num_workers(self) -> int:
        """Number of calls at a time; for somebody else's cluster, a few more than it has threads just now."""
        if self._num_own is not None:
            return self._num_own
        num_threads: Any = self.client.nthreads()  # a coroutine only for asynchronous clients
        return 2 * sum(num_threads.values()) + AHEAD

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs ``fn`` on a worker, in the directory of this process.

        Raises:
            BrokenExecutor: the connection to the scheduler is lost.
        """
        if self.client.status != "running":
            raise BrokenExecutor("the connection to the scheduler is lost")
        return self._executor.submit(_run, str(Path.cwd()), functools.partial(fn, *args, **kwargs))

    def stop(self) -> None:
        """Withdraws every call. A worker learns it at the next result of its call, and ends it."""
        self._executor.shutdown(wait=False)


@contextlib.contextmanager
def open_cluster(where: str) -> Iterator[ClusterWorkers]:
    """Connects to a cluster, or starts one on this machine, for the time of the context.

    Args:
        where: ``local:N``, or the address of a scheduler such as ``tcp://host:8786``.

    Raises:
        UsageError: ``where`` is neither, the extra is not installed, or nobody answers there.
        WorkerError: a cluster on this machine does not start.
    """
    dask, distributed = _import_distributed()
    local = LOCAL.fullmatch(where)
    if local is None and (where.startswith("local") or ":" not in where):
        raise UsageError(
            f"--dask: expected local:N, or the address of a scheduler such as tcp://host:8786, found {where!r}"
        )
    with contextlib.ExitStack() as stack:
        # one death is told at once; how often a call is tried is for us to say
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
        try:
            if local is None:
                client = distributed.Client(where, timeout=CONNECT_SECONDS, set_as_default=False)
            else:
                cluster = stack.enter_context(_start_cluster(distributed, int(local[1])))
                client = distributed.Client(cluster, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"--dask: nobody answers at {where}: {' '.join(str(error).split())}") from error
        yield ClusterWorkers(stack.enter_context(client), None if local is None else int(local[1]))


def _start_cluster(distributed: Any, num_workers: int) -> Any:
    try:
        return distributed.LocalCluster(
            n_workers=num_workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        )
    except RuntimeError as error:
        raise WorkerError(f"--dask: the workers could not be started: {error}") from error


def _import_distributed() -> tuple[Any, Any]:
    try:
        import dask  # noqa: PLC0415 - an extra, imported by who needs it
        import distributed  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise UsageError("--dask needs an extra: pip install 'grokprobe[dask]'") from error
    return dask, distributed


def _run(directory: str, call: Callable[[], Any]) -> Any:
    """Runs a call on a worker, in the client's directory, and lets it know when it is not wanted any more."""
    _, distributed = _import_distributed()
    if os.getcwd() != directory:  # noqa: PTH109 - a text is compared with a text
        os.chdir(directory)
    worker = distributed.get_worker()
    key = worker.get_current_task()

    def is_unwanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    token = IS_UNWANTED.set(is_unwanted)
    try:
        return call()
    finally:
        IS_UNWANTED.reset(token)
