"""Readers of plugins: formats of which this package knows nothing."""

import dataclasses
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from grokprobe.checkpoints.contents import CheckpointContent
from grokprobe.errors import CheckpointError, CorruptCheckpointError, GrokprobeWarning


class CheckpointReader(Protocol):
    """Reads one further format of files.

    It is asked about a file only where the built-in readers find no parameters in it and nothing wrong with it: a
    reader neither replaces a built-in one nor gets a file that was refused.

    Laws: executes nothing that a file says, and believes no size that the file has no bytes for; does not modify the
    file; the same file gives equal content; picklable, since worker processes read, too.
    """

    #: Name in messages, in ``grokprobe plugins``, and as the format of what it has read.
    name: str
    #: Changes whenever it may read a file otherwise than before: what was measured of such files is measured again.
    version: str

    def recognises(self, path: Path) -> bool:
        """Says by the first bytes of ``path``, never by its name alone, whether it is of the format."""
        ...

    def read(self, path: Path) -> CheckpointContent:
        """Returns the named floating-point tensors of ``path``, with its own epoch and step where it says them.

        A format from which single tensors can be read gives
        :class:`~grokprobe.checkpoints.contents.ParameterTensors` of
        :class:`~grokprobe.checkpoints.lazy_tensors.LazyTensor`; then a large file is never in memory as a whole.

        Raises:
            NotACheckpointError: intact, but no named parameters.
            CorruptCheckpointError: truncated or damaged.
            UnsafeCheckpointError: it lies about sizes.
        """
        ...


def read_further(path: Path, readers: Iterable[CheckpointReader]) -> CheckpointContent | None:
    """Returns what the one reader that recognises ``path`` reads; None if none does.

    A reader that raises while it looks at a file is named in a warning and taken not to recognise it.

    Raises:
        CheckpointError: several recognise it, or the one that does cannot read it, or reads no named parameters.
    """
    willing = [reader for reader in readers if _recognises(reader, path)]
    if len(willing) > 1:
        names = " and ".join(reader.name for reader in willing)
        raise CheckpointError(f"{path}: the readers {names} both recognise it; leave one out with -p no:PLUGIN")
    return _read(willing[0], path) if willing else None


def _recognises(reader: CheckpointReader, path: Path) -> bool:
    try:
        return bool(reader.recognises(path))
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything: its own cost
        warnings.warn(
            f"reader {reader.name!r} is not asked about {path.name}: it raised {type(error).__name__}: {error}",
            GrokprobeWarning,
            stacklevel=2,
        )
        return False


def _read(reader: CheckpointReader, path: Path) -> CheckpointContent:
    try:
        content = reader.read(path)
        types = content.types
    except (CheckpointError, OSError):
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CorruptCheckpointError(f"{path}: reader {reader.name!r} raised {reason}") from error
    odd = next((name for name, dtype in types.items() if not dtype.is_floating_point), "")
    if odd or not types:
        found = f"{odd!r} of {types[odd]}" if odd else "none"
        raise CheckpointError(f"{path}: reader {reader.name!r}: expected floating-point tensors, found {found}")
    return dataclasses.replace(content, format=reader.name, reader=f"{reader.name} {reader.version}")
