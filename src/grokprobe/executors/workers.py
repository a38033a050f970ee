"""What executors of our own say beyond ``concurrent.futures.Executor``, and how a call learns that it is not wanted."""

import abc
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

#: Says in the thread of a call whether its result is still wanted; whoever runs calls sets it.
IS_UNWANTED: Final[contextvars.ContextVar[Callable[[], bool]]] = contextvars.ContextVar(
    "IS_UNWANTED", default=lambda: False
)


class Workers(Executor, abc.ABC):
    """An executor that knows how many calls run at once, and can end them before they are through."""

    @property
    @abc.abstractmethod
    def num_workers(self) -> int:
        """Number of calls that it is worth to have submitted at a time, at least 1; it may change."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Ends what runs and forgets what waits; a call is told first, and keeps what it has done so far."""


class WithdrawnError(Exception):
    """Nobody waits for the result of this call any more."""


def check_wanted() -> None:
    """Raises where nobody waits for the result of the call in which it is called.

    Raises:
        WithdrawnError: the client of a cluster has ended, or has withdrawn the call.
    """
    if IS_UNWANTED.get()():
        raise WithdrawnError("the client has withdrawn this call, or has ended")
