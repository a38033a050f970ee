"""Work in processes of this machine, of which each may die by itself.

A ``ProcessPoolExecutor`` of several processes is broken as a whole by the death of one; here every process has a pool
of its own, so a death costs the call that ran there and no other.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import FrameType
from typing import Any, Final

from grokprobe.errors import WorkerError
from grokprobe.executors.workers import Workers

#: Each process computes in one thread. Libraries read these when they are first imported.
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
#: Seconds that a process has to write down what it has done before it is killed.
GRACE_SECONDS: Final = 20.0


class ProcessWorkers(Workers):
    """Processes started by ``spawn``, each with one thread of computation.

    While they are there, this process's environment says one thread, too: children inherit it. A child ignores Ctrl-C,
    which a terminal sends to every process; SIGTERM ends its call, which keeps what it has done, and then the child. It
    ends with its parent, however that ends.
    """

    def __init__(self, num_processes: int) -> None:
        """Starts nothing yet.

        Args:
            num_processes: how many calls run at once, at least 1.
        """
        self._num_processes = num_processes
        self._threads = ThreadPoolExecutor(num_processes, thread_name_prefix="grokprobe-worker")
        self._own = threading.local()
        #: Process id → its pool and the call that it runs.
        self._running: dict[int, tuple[ProcessPoolExecutor, Future[Any]]] = {}
        self._pools: list[ProcessPoolExecutor] = []
        self._is_stopping = False
        self._environment = {name: os.environ.get(name) for name in THREAD_VARIABLES}
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))

    @property
    def num_workers(self) -> int:
        """Number of processes."""
        return self._num_processes

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs ``fn`` in a process. The future has BrokenProcessPool where that process died.

        Raises:
            WorkerError: from the future, where a process cannot even be started.
        """
        return self._threads.submit(self._call, fn, args, kwargs)

    def stop(self) -> None:
        """Ends every process: told first, killed if it does not end in time."""
        self._is_stopping = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        running = dict(self._running)
        for process in running:
            _send(process, signal.SIGTERM)
        _, late = wait([call for _, call in running.values()], timeout=GRACE_SECONDS)
        for process, (_, call) in running.items():
            if call in late:
                _send(process, signal.SIGKILL)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes once they are through, and gives the environment back."""
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for pool in self._pools:
            pool.shutdown(wait=wait, cancel_futures=cancel_futures)
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not hasattr(self._own, "pool"):
            self._own.pool, self._own.process = self._start()
        pool, process = self._own.pool, self._own.process
        if self._is_stopping:
            raise CancelledError
        call = pool.submit(_run, fn, args, kwargs)
        self._running[process] = pool, call
        try:
            return call.result()
        except BrokenProcessPool:
            del self._own.pool
            raise
        finally:
            del self._running[process]

    def _start(self) -> tuple[ProcessPoolExecutor, int]:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, mp_context=context, initializer=_initialize)
        self._pools.append(pool)
        try:
            return pool, pool.submit(os.getpid).result()
        except BrokenProcessPool as error:
            raise WorkerError("a worker process could not be started; see above why, or try fewer --jobs") from error


class _Ended(BaseException):
    """SIGTERM, raised in a call so that what is done is kept."""


class _Child:
    """What a worker process knows of itself."""

    is_busy = False


def end_with_parent() -> None:
    """Ends this process with its parent: one that waits for work would otherwise never learn that the other is gone.

    Meant for a daemon thread. That is as safe as any kill: what is written is consistent at every moment.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _initialize() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=end_with_parent, daemon=True).start()


def _end(_signum: int, _frame: FrameType | None) -> None:
    if not _Child.is_busy:
        _die()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Ended


def _die() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _run(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        _Child.is_busy = True
        return fn(*args, **kwargs)
    except _Ended:
        _die()
    finally:
        _Child.is_busy = False


def _send(process: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, what)
