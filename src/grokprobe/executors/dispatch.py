"""Giving tasks to an executor, and again where a worker died over one.

What a task has done is written down elsewhere, in a ledger or a run directory. So a future that is lost, for whatever
reason, means only that the task has to be given again: it finds out by itself what is left.
"""

import queue
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from pickle import PicklingError
from typing import Any, Final, Generic, TypeVar

from grokprobe.errors import GrokprobeError, UsageError, WorkerError
from grokprobe.executors.workers import Workers

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Workers that may die over one task before it is given up.
MAX_DEATHS: Final = 3
#: What an executor raises where a task or its result cannot be sent to another process.
_NOT_SENT: Final = (PicklingError, AttributeError, TypeError, ImportError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A task that was given up, because every worker that had it died."""

    #: What is known about it, for people.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer(Generic[Result]):
    """What a call gave. An error is handed back like a result, so that what a future raises is the executor's own."""

    result: Result | None = None
    error: Exception | None = None


def dispatch(
    executor: Executor, function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Generator[tuple[int, Result | Death], None, None]:
    """Yields the place of each task and what ``function`` makes of it, in order of completion.

    Where a worker dies the task is given again, to :data:`MAX_DEATHS` workers in all. Of an executor of our own, no
    more tasks are under way than it has workers, so that a death hits few others. If the iteration is closed early, or
    something is raised, what waits is withdrawn and what runs has ended before the caller goes on.

    Args:
        executor: where tasks run.
        function: may run again after a worker died half-way, and then does what is left.
        tasks: plain data, like the results.

    Raises:
        Exception: the first error that ``function`` raised.
        WorkerError: the executor itself is broken and takes no more tasks.
        UsageError: a task cannot be sent to another process.
    """
    waiting = deque(range(len(tasks)))
    running: dict[Future[_Answer[Result]], int] = {}
    ended: queue.SimpleQueue[Future[_Answer[Result]]] = queue.SimpleQueue()
    deaths: Counter[int] = Counter()
    try:
        while waiting or running:
            while waiting and len(running) < _width(executor, tasks):
                place = waiting.popleft()
                future = _submit(executor, function, tasks[place])
                running[future] = place
                future.add_done_callback(ended.put)
                if future.done():  # it ran at once: what it did is told before the next begins
                    break
            future = ended.get()
            place = running.pop(future)
            try:
                answer = future.result()
            except (GrokprobeError, *_NOT_SENT) as error:
                raise _explain(error) from error
            except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever an executor says of a lost worker
                deaths[place] += 1
                if deaths[place] < MAX_DEATHS:
                    waiting.append(place)
                else:
                    yield place, Death(reason=_describe(error))
                continue
            if answer.error is not None:
                raise answer.error
            yield place, answer.result  # pyright: ignore[reportReturnType] - None is a result like any other
    finally:
        _withdraw(executor, list(running))


def _width(executor: Executor, tasks: Sequence[Any]) -> int:
    return executor.num_workers if isinstance(executor, Workers) else len(tasks)


def _submit(executor: Executor, function: Callable[[Task], Result], task: Task) -> Future[_Answer[Result]]:
    try:
        return executor.submit(_answer, function, task)
    except (BrokenExecutor, RuntimeError) as error:  # of a pool that is not ours, and cannot be built again
        raise WorkerError(
            f"the executor takes no more work ({type(error).__name__}: {error}); what is written stays: give the"
            " command again"
        ) from error
    except _NOT_SENT as error:
        raise _explain(error) from error


def _answer(function: Callable[[Task], Result], task: Task) -> _Answer[Result]:
    try:
        return _Answer(result=function(task))
    except Exception as error:  # noqa: BLE001 - raised again by who asked
        error.add_note(traceback.format_exc())  # --debug shows where, also from another process
        return _Answer(error=error)


def _explain(error: Exception) -> Exception:
    if isinstance(error, GrokprobeError):
        return error
    return UsageError(
        f"this work cannot be sent to another process: {error}; define measures and tasks in importable modules, or"
        " compute in one process"
    )


def _describe(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"the worker process ended without a word, {MAX_DEATHS} times ({type(error).__name__}: {said})"


def _withdraw(executor: Executor, futures: list[Future[Any]]) -> None:
    under_way = [future for future in futures if not future.cancel()]
    if futures and isinstance(executor, Workers):
        executor.stop()
    wait(under_way)
