"""How often a run in training writes the state that it can be resumed from."""

import time
from collections.abc import Callable
from typing import Final

#: Seconds of training between two resume states. What is written costs the same whatever an epoch costs, so it goes by
#: time: a kill loses no more than this, twice if the writing takes as long.
RESUME_SECONDS: Final = 30.0


class ResumePace:
    """Says when the next resume state is due."""

    def __init__(self, seconds: float = RESUME_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last = clock()

    def is_over(self) -> bool:
        """Returns whether at least so many seconds have passed since it was last due, or since the beginning."""
        return self._clock() - self._last >= self._seconds

    def is_due(self) -> bool:
        """Returns whether the time is over; then it begins anew."""
        if not self.is_over():
            return False
        self._last = self._clock()
        return True
