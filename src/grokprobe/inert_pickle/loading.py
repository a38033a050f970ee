"""Reading one pickle of a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from grokprobe.errors import CorruptCheckpointError, UnsafeCheckpointError
from grokprobe.inert_pickle.machine import Machine, PickleRefusalError
from grokprobe.inert_pickle.values import PickleFaultError

#: Operations followed by default. One takes at most some 200 bytes besides what it reads, so this bounds the memory.
MAX_OPERATIONS: Final = 10_000_000

#: What an error of the machine means; its own words could quote the file at length.
_FAULTS: Final = {
    IndexError: "an operation without the values it takes",
    KeyError: "a reference to a value that was not stored",
}


def load_inert(
    file: BinaryIO,
    origin: str | Path,
    *,
    persistent_load: Callable[[Any], Any] | None = None,
    max_operations: int = MAX_OPERATIONS,
) -> Any:
    r"""Returns the next pickle of ``file``: numbers, strings, lists, dicts, :class:`Global` and :class:`Inert`.

    Neither memory nor the depth of recursion is in the hands of the file: nesting takes no recursion, what is stored
    once and used often stays one object, and a length is believed only if the file is as long. Strings of Python 2 are
    read as Latin-1. The result may contain itself; a caller who walks through it keeps a set of what was seen.

    Args:
        file: buffered and seekable; afterwards it stands behind the pickle.
        origin: what the messages call the file.
        persistent_load: makes an object out of a persistent id (torch: out of the description of a storage). Without it
            persistent ids are refused.
        max_operations: operations followed; a longer pickle is refused.

    Raises:
        CorruptCheckpointError: no pickle, or a truncated or damaged one.
        UnsafeCheckpointError: it wants what is not given: registered extensions, buffers outside the file, persistent
            ids without ``persistent_load``, or too many operations.

    Example:
        >>> import io
        >>> load_inert(io.BytesIO(b"cos\nsystem\n(S'echo hello'\ntR."), "example.pickle")
        <inert 'os.system'>
    """
    machine = Machine(file, persistent_load)
    try:
        return machine.run(max_operations)
    except PickleRefusalError as error:
        raise UnsafeCheckpointError(
            f"{origin}, before byte {file.tell()}: expected plain data, found {error}; nothing in it was executed;"
            " write the file again without"
        ) from error
    except (ValueError, IndexError, KeyError) as error:
        fault = str(error) if isinstance(error, PickleFaultError) else _FAULTS.get(type(error), "a damaged value")
        raise CorruptCheckpointError(
            f"{origin}, before byte {file.tell()}: expected a whole pickle, found {fault}; copy or write the file again"
        ) from error
