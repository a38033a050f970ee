"""A sweep over several processes, one run a process at a time.

A run is trained by the same function as in one process, on one thread, so its files do not depend on the number of
processes.
"""

import multiprocessing
import os
import queue
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from multiprocessing.synchronize import Event
from typing import Any, Final

from grokprobe.interfaces import Samples, Task
from grokprobe.plugins import PluginSelection, load_plugins
from grokprobe.progress import Progress, SilentProgress
from grokprobe.training.loop import RunReport, RunRequest, train_run
from grokprobe.training.sweep import TrainReport

#: Seconds between two looks at what the processes report.
POLL_SECONDS: Final = 0.2


class WorkerProgress:
    """Sends progress to the parent process, and ends the work when the parent wants it or is gone."""

    def __init__(self, reports: Any, stop: Event, parent: int) -> None:
        self._reports = reports
        self._stop = stop
        self._parent = parent

    def start(self, description: str, total: int) -> None:
        """Says nothing: the parent knows the total."""

    def advance(self, num_units: int = 1, note: str = "") -> None:
        """Sends the advance.

        Raises:
            KeyboardInterrupt: the work shall end; the run directory is consistent at every moment.
        """
        if self._stop.is_set() or os.getppid() != self._parent:
            raise KeyboardInterrupt
        self._reports.put((num_units, note))

    def finish(self) -> None:
        """Says nothing: the parent knows."""


class _Worker:
    """What a process keeps between runs; set once by its initializer."""

    progress: WorkerProgress
    selection: PluginSelection
    data: tuple[Task, Samples] | None = None


def train_in_processes(
    requests: Sequence[RunRequest], selection: PluginSelection, progress: Progress, num_processes: int
) -> TrainReport:
    """Trains every run of a sweep over several processes; as :func:`~grokprobe.training.sweep.train_sweep` otherwise.

    Args:
        requests: from :func:`~grokprobe.training.sweep.plan_runs`.
        selection: plugins that each process loads.
        progress: counts epochs over all runs.
        num_processes: at least 1.
    """
    context = multiprocessing.get_context("spawn")
    reports, stop = context.Queue(), context.Event()
    pool = ProcessPoolExecutor(
        num_processes, mp_context=context, initializer=_initialize, initargs=(reports, stop, os.getpid(), selection)
    )
    progress.start("training", len(requests) * requests[0].recipe.schedule.epochs)
    try:
        futures = [pool.submit(_train, request) for request in requests]
        _follow(futures, reports, progress)
        return TrainReport(runs=tuple(future.result() for future in futures))
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        _drain(reports, progress)
        progress.finish()


def _follow(futures: list[Future[RunReport]], reports: Any, progress: Progress) -> None:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_EXCEPTION)
        _drain(reports, progress)
        for future in done:
            future.result()  # the first error ends the sweep; what is on disk stays


def _drain(reports: Any, progress: Progress) -> None:
    while True:
        try:
            progress.advance(*reports.get_nowait())
        except queue.Empty:
            return


def _initialize(reports: Any, stop: Event, parent: int, selection: PluginSelection) -> None:
    _Worker.progress = WorkerProgress(reports, stop, parent)
    _Worker.selection = selection


def _train(request: RunRequest) -> RunReport:
    if _Worker.data is None:
        task = request.recipe.build_task(load_plugins(_Worker.selection).find_task)
        _Worker.data = (task, task.population(SilentProgress()))
    return train_run(request, *_Worker.data, _Worker.progress)
