"""Native run directories found and read: they say everything themselves."""

import json
from pathlib import Path
from typing import Final

from grokprobe.checkpoints.native import (
    CHECKPOINT_PATTERN,
    HISTORY_FILE,
    MANIFEST_FILE,
    RESUME_FILE,
    RunManifest,
    read_manifest,
)
from grokprobe.checkpoints.numbered_files import inspect_numbered_files
from grokprobe.checkpoints.runs import Run, SkippedFile
from grokprobe.checkpoints.sightings import FileState, Findings, reason_of
from grokprobe.errors import CheckpointError
from grokprobe.names import EPOCH, INIT_SCALE, SEED

_OWN_FILES: Final = frozenset({MANIFEST_FILE, HISTORY_FILE, RESUME_FILE})
_FORMAT: Final = "grokprobe-run"


def is_native_run(directory: Path) -> bool:
    """Says whether ``directory`` holds our ``run.json``, valid or not.

    A ``run.json`` that is no JSON counts as ours beside checkpoints named as ours: half of one is a damaged run, not
    a directory of strange checkpoints.
    """
    if not (directory / MANIFEST_FILE).is_file():
        return False
    try:
        content = json.loads((directory / MANIFEST_FILE).read_bytes())
    except (OSError, ValueError):
        return any(CHECKPOINT_PATTERN.fullmatch(path.name) for path in directory.iterdir())
    return isinstance(content, dict) and content.get("format") == _FORMAT


def build_native_run(directory: Path, files: tuple[Path, ...], findings: Findings) -> Run | None:
    """Builds the run of ``directory`` from those of its checkpoints that are in ``files``.

    Returns:
        The run; None, with the reason in ``findings``, if ``run.json`` is not valid or no checkpoint can be read.
    """
    try:
        manifest = read_manifest(directory)
    except (CheckpointError, OSError) as error:
        path = directory / MANIFEST_FILE
        reason = reason_of(error, path) if isinstance(error, CheckpointError) else f"cannot be opened: {error.strerror}"
        findings.unreadable.append(SkippedFile(path=path, reason=f"{reason}; the run is not analysed"))
        return None
    states = inspect_numbered_files(directory, files, _OWN_FILES, "native", findings)
    first = next((state.header for state in states.values() if state.header is not None), None)
    if first is None:
        for state in states.values():
            findings.leave_out(state)
        if not states:
            findings.skip(directory / MANIFEST_FILE, "a native run without a checkpoint")
        return None
    _warn_of_renamed(directory, states, findings)
    return _as_run(directory, manifest, states, dict(first.shapes))


def _as_run(
    directory: Path, manifest: RunManifest, states: dict[int, FileState], shapes: dict[str, tuple[int, ...]]
) -> Run:
    return Run(
        path=directory,
        seed=manifest.seed,
        init_scale=manifest.init_scale,
        recipe=manifest.recipe,
        parameters=manifest.parameters,
        split=f"seed:{manifest.seed}",
        checkpoints=tuple(
            state.reference(epoch, state.header.step if state.header else None) for epoch, state in states.items()
        ),
        shapes=shapes,
        epoch_units="epochs",
        sources=dict.fromkeys((SEED, INIT_SCALE, EPOCH, "split"), "native"),
        is_native=True,
    )


def _warn_of_renamed(directory: Path, states: dict[int, FileState], findings: Findings) -> None:
    for epoch, state in states.items():
        own = state.header.epoch if state.header else None
        if own is not None and own != epoch:
            findings.warnings.append(
                f"{directory}: epoch is {epoch} by the name of {state.path.name} and {own} by the file;"
                " the name is believed"
            )
