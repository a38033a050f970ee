"""The checkpoint that a user declares as reference for measures that compare a run with another one."""

from collections.abc import Mapping
from pathlib import Path

from grokprobe.checkpoints import CheckpointRef, Reading, discover
from grokprobe.errors import UsageError


def find_reference(
    text: str, shapes: Mapping[str, tuple[int, ...]], reading: Reading
) -> tuple[CheckpointRef | None, str]:
    """Returns the reference checkpoint, or None and why it cannot be compared with.

    Args:
        text: a checkpoint file, or the directory of one run, whose last readable checkpoint is meant.
        shapes: of the tensors that it is compared with, by name.
        reading: how files are read.

    Raises:
        UsageError: there is nothing, no checkpoint, or several runs.
    """
    found = discover(Path(text), reading=reading)
    if len(found.runs) != 1:
        raise UsageError(
            f"--set run.reference={text}: expected one checkpoint file or the directory of one run,"
            f" found {len(found.runs)} runs"
        )
    run = found.runs[0]
    readable = [checkpoint for checkpoint in run.checkpoints if not checkpoint.problem]
    if not readable:
        raise UsageError(f"--set run.reference={text}: expected a readable checkpoint, found none")
    different = sorted(name for name in run.shapes.keys() | shapes if run.shapes.get(name) != shapes.get(name))
    if different:
        return None, f"the reference {text} has another tensor {different[0]}: {run.shapes.get(different[0], 'none')}"
    return readable[-1], ""
