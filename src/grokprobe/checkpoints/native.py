"""The native run directory: what ``grokprobe train`` writes.

    run.json                    what was trained (:class:`RunManifest`)
    history.jsonl               one row per evaluated epoch
    epoch-000123.safetensors    parameters after 123 epochs; epoch 0 is the initialisation
    resume.safetensors          newest optimizer state and epoch, replaced atomically

Nothing in a run directory holds a clock, a process or a host, so equal runs are equal byte for byte.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import save

from grokprobe.atomic import write_atomically
from grokprobe.errors import CorruptCheckpointError

MANIFEST_FILE: Final = "run.json"
HISTORY_FILE: Final = "history.jsonl"
RESUME_FILE: Final = "resume.safetensors"
CHECKPOINT_PATTERN: Final = re.compile(r"epoch-(\d{6,})\.safetensors")


class RunManifest(BaseModel):
    """Contents of ``run.json``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Marks the file as ours.
    format: Literal["grokprobe-run"] = "grokprobe-run"
    #: Version of this schema; a reader refuses a newer one.
    version: Literal[1] = 1
    #: Name of the built-in recipe or stem of the recipe file whose task, model and optimizer this run has, else None.
    recipe: str | None
    #: Parameters that identify the experiment: the tables ``task``, ``model`` and ``optimizer``.
    parameters: dict[str, dict[str, Any]]
    seed: int
    init_scale: float
    #: The recipe's ``schedule`` table.
    schedule: dict[str, Any]
    #: What was chosen by measuring, and is reused on resume.
    plan: dict[str, Any] = {}
    #: Epoch at which the loss stopped being finite, else None.
    diverged_at: int | None = None
    #: Epoch up to which checkpoints were measured during training and may have been deleted; −1 where none was.
    measured_until: int = -1


def checkpoint_path(run_directory: Path, epoch: int) -> Path:
    """Returns where the checkpoint after ``epoch`` epochs lies."""
    return run_directory / f"epoch-{epoch:06d}.safetensors"


def read_manifest(run_directory: Path) -> RunManifest:
    """Reads ``run.json``.

    Raises:
        CorruptCheckpointError: it is no valid manifest; the message names every fault.
    """
    path = run_directory / MANIFEST_FILE
    try:
        return RunManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise CorruptCheckpointError(f"{path}: expected a run manifest, found {faults}") from error


def write_manifest(run_directory: Path, manifest: RunManifest) -> None:
    """Writes ``run.json`` atomically."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
    write_atomically(run_directory / MANIFEST_FILE, text.encode())


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Writes ``tensors`` as one safetensors file, atomically."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(contiguous, metadata=dict(metadata)))


def read_history(run_directory: Path) -> list[dict[str, float]]:
    """Returns the rows of ``history.jsonl`` in order of epoch; empty if there is none.

    A last line torn by a kill is ignored.

    Raises:
        CorruptCheckpointError: a line before the last is not a row.
    """
    return list(_parse_rows(run_directory / HISTORY_FILE))


def _parse_rows(path: Path) -> Iterator[dict[str, float]]:
    lines = path.read_text().split("\n") if path.exists() else [""]
    for number, line in enumerate(lines[:-1], start=1):  # the text after the last newline is empty or torn
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            raise CorruptCheckpointError(f"{path}, line {number}: expected a JSON row, found {line[:40]!r}") from error
