"""The run directory that ``grokprobe convert`` writes: somebody else's run in files that hold nothing but tensors.

run.json                    what is known of the run (:class:`ConvertedManifest`)
epoch-000123.safetensors    parameters after 123 epochs, or steps
split.json                  indices of its training and test samples, where they are known
samples.safetensors         the samples themselves, where the run held them
original_log.json           what its program logged, where it did; never taken for a measurement
"""

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from grokprobe.atomic import write_atomically
from grokprobe.checkpoints.manifest import FILE_SPLITS
from grokprobe.checkpoints.native import MANIFEST_FILE
from grokprobe.checkpoints.numbered_files import inspect_numbered_files
from grokprobe.checkpoints.runs import Run, SkippedFile
from grokprobe.checkpoints.sightings import Findings
from grokprobe.names import EPOCH, INIT_SCALE, SEED

FORMAT: Final = "grokprobe-converted-run"
SPLIT_FILE: Final = "split.json"
SAMPLES_FILE: Final = "samples.safetensors"
LOG_FILE: Final = "original_log.json"
_OWN_FILES: Final = frozenset({MANIFEST_FILE, SPLIT_FILE, SAMPLES_FILE, LOG_FILE})
_SOURCE: Final = "conversion"


class ConvertedManifest(BaseModel):
    """Contents of ``run.json`` of a converted run."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Marks the file as ours.
    format: Literal["grokprobe-converted-run"] = FORMAT
    #: Version of this schema; a reader refuses a newer one.
    version: Literal[1] = 1
    #: The run's path as it was found, relative to what was converted.
    origin: str
    #: None if nobody said it.
    seed: int | None
    #: None if nobody said it.
    init_scale: float | None
    #: The tables ``task``, ``model``, ``optimizer`` and ``run``, as far as they were said.
    parameters: dict[str, dict[str, Any]]
    #: As :attr:`~grokprobe.checkpoints.Run.split`, files relative to the directory; None if unknown.
    split: str | None
    #: ``"epochs"`` or ``"steps"``: what the numbers in the names of the files count.
    epoch_units: Literal["epochs", "steps"]


def is_converted_run(directory: Path) -> bool:
    """Says whether ``directory`` holds the ``run.json`` of a converted run."""
    if not (directory / MANIFEST_FILE).is_file():
        return False
    try:
        content = json.loads((directory / MANIFEST_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def write_converted_manifest(directory: Path, manifest: ConvertedManifest) -> None:
    """Writes ``run.json`` atomically."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
    write_atomically(directory / MANIFEST_FILE, text.encode())


def build_converted_run(directory: Path, files: tuple[Path, ...], findings: Findings) -> Run | None:
    """Builds the run of ``directory`` from those of its checkpoints that are in ``files``.

    It stays a stranger's run: what never changes in it is a buffer, and its history is evaluated at its checkpoints.

    Returns:
        The run; None, with the reason in ``findings``, if ``run.json`` is not valid or no checkpoint can be read.
    """
    path = directory / MANIFEST_FILE
    try:
        manifest = ConvertedManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        reason = f"expected the manifest of a converted run, found {faults}; the run is not analysed"
        findings.unreadable.append(SkippedFile(path=path, reason=reason))
        return None
    states = inspect_numbered_files(directory, files, _OWN_FILES, "converted", findings)
    shapes = next((state.header.shapes for state in states.values() if state.header is not None), None)
    if shapes is None:
        for state in states.values():
            findings.leave_out(state)
        return None
    said = {SEED: manifest.seed, INIT_SCALE: manifest.init_scale, "split": manifest.split}
    return Run(
        path=directory,
        seed=manifest.seed,
        init_scale=manifest.init_scale,
        recipe=None,
        parameters=manifest.parameters,
        split=_anchor(manifest.split, directory),
        checkpoints=tuple(state.reference(epoch, None) for epoch, state in states.items()),
        shapes=dict(shapes),
        epoch_units=manifest.epoch_units,
        sources={name: _SOURCE for name, value in said.items() if value is not None} | {EPOCH: _SOURCE},
        is_native=False,
    )


def _anchor(split: str | None, directory: Path) -> str | None:
    kind, _, name = (split or "").partition(":")
    return f"{kind}:{directory / name}" if kind in FILE_SPLITS else split
