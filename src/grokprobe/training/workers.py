"""A sweep over several processes, one batch a process at a time.

A batch is trained by the same function as in one process, on one thread, so its files do not depend on the number of
processes.
"""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from typing import Any, Final

import numpy as np
import torch

from grokprobe.errors import WorkerError
from grokprobe.interfaces import Samples, Task
from grokprobe.plugins import PluginSelection, load_plugins
from grokprobe.progress import Progress
from grokprobe.training.batch import Batch, RunReport, TrainReport
from grokprobe.training.loop import train_batch
from grokprobe.training.sweep import assemble_report, training_progress

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
    population: Samples
    task: Task | None = None


def train_in_processes(
    batches: Sequence[Batch],
    population: Samples,
    selection: PluginSelection,
    progress: Progress,
    num_processes: int,
) -> TrainReport:
    """Trains every run of a sweep over several processes; as :func:`~grokprobe.training.sweep.train_sweep` otherwise.

    Args:
        batches: from :func:`~grokprobe.training.plan.plan_batches`.
        population: the task's population, given to each process.
        selection: plugins that each process loads.
        progress: counts epochs over all runs.
        num_processes: at least 1.
    """
    context = multiprocessing.get_context("spawn")
    reports, stop = context.Queue(), context.Event()
    samples = population.inputs.numpy(), population.targets.numpy()  # as bytes: tensors would take shared memory
    to_parent = WorkerProgress(reports, stop, os.getpid())
    pool = ProcessPoolExecutor(
        num_processes, mp_context=context, initializer=_initialize, initargs=(to_parent, selection, samples)
    )
    with training_progress(batches, progress):
        try:
            futures = [pool.submit(_train, batch) for batch in batches]
            _follow(futures, reports, progress)
            return assemble_report(batches, (future.result() for future in futures))
        except BrokenProcessPool as error:
            raise WorkerError(
                "a process of the training ended without a word, perhaps for want of memory; what is on disk stays:"
                " give the command again, with fewer --jobs or --members-per-batch"
            ) from error
        except BaseException:
            stop.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            _drain(reports, progress)


def _follow(futures: list[Future[tuple[RunReport, ...]]], reports: Any, progress: Progress) -> None:
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


def _initialize(progress: WorkerProgress, selection: PluginSelection, samples: tuple[np.ndarray, np.ndarray]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _Worker.progress = progress
    _Worker.selection = selection
    inputs, targets = map(torch.from_numpy, samples)
    _Worker.population = Samples(inputs=inputs, targets=targets)


def _end_with_parent() -> None:
    """Ends this process with its parent: one that waits for work would otherwise never learn that the other is gone.

    That is as safe as any kill: the run directory is consistent at every moment.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _train(batch: Batch) -> tuple[RunReport, ...]:
    if _Worker.task is None:
        _Worker.task = batch.requests[0].recipe.build_task(load_plugins(_Worker.selection).find_task)
    return train_batch(batch, _Worker.task, _Worker.population, _Worker.progress)
