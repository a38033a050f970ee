"""Which events of the interpreter a piece of code causes: imports, files opened, processes started, code compiled."""

import contextlib
import sys
from collections.abc import Iterator

_recording: list[set[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    for events in _recording:
        detail = f" {arguments[0]}" if event == "import" else ""
        events.add(event + detail)


sys.addaudithook(_note)  # there is no way to take one away: it costs little while nothing is recorded


@contextlib.contextmanager
def recorded() -> Iterator[set[str]]:
    """Records the events of the enclosed code; of an import also the module."""
    events: set[str] = set()
    _recording.append(events)
    try:
        yield events
    finally:
        _recording.remove(events)
