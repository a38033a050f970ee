"""Everything grokprobe raises on purpose, in one tree.

A message says what was expected, what was found, where, and what to do; the command line prints it as it is and exits
with ``exit_code``. Anything outside this tree is a bug.
"""

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar


class GrokprobeError(Exception):
    """Root of the tree. ``exit_code`` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class UsageError(GrokprobeError):
    """A request that cannot be carried out as given: unknown name, missing directory, two runs on one coordinate."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that does not validate; the message lists every fault with its path."""


class PluginError(UsageError):
    """A plugin that cannot be loaded, or a name that several plugins claim."""


class CheckpointError(GrokprobeError):
    """A file that could not be read as a checkpoint."""

    exit_code = 4


class NotACheckpointError(CheckpointError):
    """The file is intact but holds no named parameters; it is named, skipped and no failure."""


class SeveralCheckpointsError(NotACheckpointError):
    """The file holds several checkpoints of one run; each is read by its name within the file."""


class CorruptCheckpointError(CheckpointError):
    """The file is truncated or damaged."""


class UnsafeCheckpointError(CheckpointError):
    """Reading the file would need to execute something in it, or to trust sizes it lies about."""


class VariableError(GrokprobeError):
    """A measured value that contradicts its :class:`~grokprobe.variables.VariableSpec`."""


class DivergedError(GrokprobeError):
    """A training run whose loss is no longer finite."""

    exit_code = 3


class WorkerError(GrokprobeError):
    """A process that ended without a word, killed from outside; what it had finished stays."""

    exit_code = 3


class StoreError(GrokprobeError):
    """A results store that is locked, of another format version, or no results store at all."""

    exit_code = 5


class DamagedStoreError(StoreError):
    """What a store holds cannot be decoded; ``grokprobe verify`` says where and mends it."""

    exit_code = 3


class StoreWriteError(StoreError):
    """Writing a result failed (disk full, read-only); what was published before is unchanged."""

    exit_code = 6


class GrokprobeWarning(UserWarning):
    """Something a user should know that stopped nothing: a broken plugin, an assumed seed."""


def is_undecodable(error: BaseException) -> bool:
    """Whether ``error`` comes from a codec of zarr: what was read from a store is not what was written."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_globals.get("__name__", "").startswith("zarr.codecs.") for frame in frames)


@contextlib.contextmanager
def reporting_write_errors(path: Path) -> Iterator[None]:
    """Turns an operating-system error into a :class:`StoreWriteError` that names what was written.

    Raises:
        StoreWriteError: the enclosed code raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise StoreWriteError(
            f"writing {path} failed: {error.strerror or error}; what was there before is unchanged;"
            " make room or permission, then give the same command again"
        ) from error
