"""What long work says about itself while it runs; drawing it is the command line's business."""

from typing import Protocol


class Progress(Protocol):
    """A listener to long work. Calls come from one process, in order."""

    def start(self, description: str, total: int) -> None:
        """Work of ``total`` units begins."""
        ...

    def advance(self, num_units: int = 1, note: str = "") -> None:
        """``num_units`` more are done; ``note`` says where the work stands."""
        ...

    def finish(self) -> None:
        """The work that was started has ended, whether complete or not."""
        ...


class SilentProgress:
    """Listens and shows nothing."""

    def start(self, description: str, total: int) -> None:
        """Ignores the beginning."""

    def advance(self, num_units: int = 1, note: str = "") -> None:
        """Ignores the advance."""

    def finish(self) -> None:
        """Ignores the end."""
