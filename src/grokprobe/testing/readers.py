"""The laws of a CheckpointReader."""

import functools
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save

from grokprobe.checkpoints import CheckpointContent, CheckpointReader, read_checkpoint
from grokprobe.errors import CheckpointError
from grokprobe.testing.conformance import ConformanceError, require

#: Lengths at which a file is cut, at most.
_MAX_CUTS: Final = 400
#: Events of the interpreter that no reader of data causes.
_EXECUTIONS: Final = frozenset(
    {"pickle.find_class", "marshal.loads", "exec", "os.system", "os.exec", "os.posix_spawn", "os.fork"}
    | {"subprocess.Popen", "socket.connect", "ctypes.dlopen"}
)
#: The event sets that are being recorded now; an audit hook cannot be taken away.
_recording: Final[list[set[str]]] = []


def check_reader(reader: CheckpointReader, path: Path, scratch: Path) -> CheckpointContent:
    """Checks ``reader`` against the laws of :class:`grokprobe.checkpoints.CheckpointReader`.

    It recognises ``path`` under any name, and neither empty files, text nor the built-in formats; reads it twice
    equally, as floating-point tensors on the CPU, through the core as well; executes nothing meanwhile; neither
    reading nor writing to a tensor changes the file; a file cut at any length ends in a documented error, or is not
    recognised, or is read; the reader can be pickled.

    Args:
        reader: the reader.
        path: a small file of its format.
        scratch: a directory to write to.

    Returns:
        The content of ``path``.

    Raises:
        ConformanceError: a law is broken.
    """
    whole = path.read_bytes()
    renamed = scratch / "renamed"
    renamed.write_bytes(whole)
    require(reader.recognises(path), "recognises its format", f"{path.name} is not recognised")
    require(reader.recognises(renamed), "recognises by content", "the same file under another name is not recognised")
    _check_others(reader, scratch)
    try:
        pickle.dumps(reader)
    except Exception as error:
        raise ConformanceError(f"picklable: {type(error).__name__}: {error}") from error
    dict(reader.read(path).parameters)  # whatever it imports when it is first used is imported now
    with _recorded() as events:
        content = reader.read(path)
        tensors = dict(content.parameters)
    require(not events & _EXECUTIONS, "executes nothing", ", ".join(sorted(events & _EXECUTIONS)))
    _check_tensors(tensors)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    again = dict(reader.read(path).parameters)
    require(_are_equal(tensors, again), "the same file gives equal content", "two readings differ")
    through = read_checkpoint(path, readers=(reader,))
    require(through.format == reader.name, "a file of its format belongs to no built-in reader", through.format)
    for tensor in again.values():
        tensor.zero_()
    require(path.read_bytes() == whole, "does not modify the file")
    require(_are_equal(tensors, dict(reader.read(path).parameters)), "writing to a tensor reaches no later reading")
    _check_cuts(reader, whole, scratch / "cut")
    return content


def _check_others(reader: CheckpointReader, scratch: Path) -> None:
    others = {
        "an empty file": b"",
        "text": b"# notes\nlr = 0.1\n",
        "zeros": bytes(64),
        "safetensors": save({"w": torch.ones(2)}),
        "a pickle": pickle.dumps({"w": 1}),
    }
    for name, held in others.items():
        (scratch / "other").write_bytes(held)
        require(not reader.recognises(scratch / "other"), "recognises its format alone", f"{name} is recognised")


def _check_tensors(tensors: dict[str, torch.Tensor]) -> None:
    require(bool(tensors), "reads named parameters", "none")
    for name, tensor in tensors.items():
        is_dense = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.requires_grad
        require(
            isinstance(name, str) and is_dense and tensor.is_floating_point(),
            "parameters are dense floating-point tensors on the CPU without gradient",
            f"{name!r}: {tensor.dtype} on {tensor.device}",
        )


def _are_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return list(first) == list(second) and all(
        torch.equal(tensor.nan_to_num(), second[name].nan_to_num()) for name, tensor in first.items()
    )


def _check_cuts(reader: CheckpointReader, whole: bytes, cut: Path) -> None:
    for length in range(0, len(whole), max(1, len(whole) // _MAX_CUTS)):
        cut.write_bytes(whole[:length])
        try:
            if reader.recognises(cut):
                dict(reader.read(cut).parameters)
        except CheckpointError as error:
            require("\n" not in str(error), "an error is one line", repr(str(error)))
        except Exception as error:
            raise ConformanceError(
                f"a damaged file is a CheckpointError: {type(error).__name__}: {error}, cut to {length} bytes"
            ) from error


@contextmanager
def _recorded() -> Iterator[set[str]]:
    _install_hook()
    events: set[str] = set()
    _recording.append(events)
    try:
        yield events
    finally:
        _recording.remove(events)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    del arguments
    for events in _recording:
        events.add(event)


@functools.cache
def _install_hook() -> None:
    sys.addaudithook(_note)
