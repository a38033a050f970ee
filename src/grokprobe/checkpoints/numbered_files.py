"""The checkpoints of a run directory of our own layout: ``epoch-000123.safetensors`` and what lies beside them."""

from collections.abc import Collection
from pathlib import Path

from grokprobe.checkpoints.native import CHECKPOINT_PATTERN, checkpoint_path
from grokprobe.checkpoints.reading import Reading
from grokprobe.checkpoints.sightings import FileState, Findings, inspect_file, reason_of
from grokprobe.errors import NotACheckpointError


def inspect_numbered_files(
    directory: Path, files: tuple[Path, ...], others: Collection[str], kind: str, findings: Findings
) -> dict[int, FileState]:
    """Inspects the checkpoints among ``files`` and returns their states by epoch, ascending.

    Args:
        directory: of the run.
        files: in it.
        others: names of files that belong to such a run and are no checkpoints.
        kind: of the run, for the reason why any further file is skipped.
        findings: takes what is skipped.
    """
    states: dict[int, FileState] = {}
    for path in files:
        name = CHECKPOINT_PATTERN.fullmatch(path.name)
        if name is None or path != checkpoint_path(directory, int(name[1])):
            if path.name not in others:
                findings.skip(path, f"no part of the {kind} run it lies in")
            continue
        try:
            states[int(name[1])] = inspect_file(path, Reading())
        except NotACheckpointError as error:
            findings.skip(path, reason_of(error, path))
    return dict(sorted(states.items()))
