"""The run that a blob holds, with the coordinates that layout, manifest and the blob itself say."""

from pathlib import Path
from typing import Any

from grokprobe.checkpoints.blob_data import has_stored_parts
from grokprobe.checkpoints.blobs import Blob
from grokprobe.checkpoints.layout import LayoutMatch
from grokprobe.checkpoints.manifest import ManifestChain
from grokprobe.checkpoints.reading import read_checkpoint
from grokprobe.checkpoints.runs import CheckpointRef, Run, SkippedFile
from grokprobe.checkpoints.sightings import Findings, reason_of, settle
from grokprobe.checkpoints.torch_reading import read_blob
from grokprobe.errors import CheckpointError, UnsafeCheckpointError
from grokprobe.names import EPOCH, INIT_SCALE, SEED

_FILE = "file"


def build_blob_run(path: Path, match: LayoutMatch | None, manifests: ManifestChain, findings: Findings) -> Run | None:
    """Builds the run of a file that holds a whole one; None, with the reason in ``findings``, if nothing can be read.

    A layout and a manifest say seed, init_scale and parameters as for other files; epochs are those of the file.
    """
    blob = read_blob(path)
    if blob is None:
        raise AssertionError("only a file that holds a run comes here")
    checkpoints, shapes = _references(path, blob)
    if shapes is None:
        problem = SkippedFile(path=path, reason=checkpoints[0].problem)
        (findings.refused if checkpoints[0].refused else findings.unreadable).append(problem)
        return None
    seed = settle(("layout", match.seed if match else None), ("manifest", manifests.says(SEED)), (_FILE, blob.seed))
    init_scale = settle(
        ("layout", match.init_scale if match else None),
        ("manifest", manifests.says(INIT_SCALE)),
        (_FILE, blob.init_scale),
    )
    stored = f"stored:{path}" if has_stored_parts(blob.attributes) else None
    split = settle(("manifest", manifests.says("split")), (_FILE, stored))
    settled = {SEED: seed, INIT_SCALE: init_scale, "split": split}
    for name, coordinate in settled.items():
        if coordinate is not None and coordinate.conflict is not None and name != "split":
            other, value = coordinate.conflict
            findings.warnings.append(
                f"{path}: {name} is {coordinate.value} by the {coordinate.source} and {value} by the {other};"
                f" the {coordinate.source} is believed"
            )
    findings.warnings.extend(f"{path}: {remark}" for remark in blob.remarks)
    return Run(
        path=path,
        seed=seed.value if seed else None,
        init_scale=float(init_scale.value) if init_scale else None,
        recipe=None,
        parameters=_merge(blob, match, manifests),
        split=split.value if split else None,
        checkpoints=checkpoints,
        shapes=shapes,
        epoch_units="epochs",
        sources={name: found.source for name, found in settled.items() if found is not None} | {EPOCH: _FILE},
        is_native=False,
    )


def _references(path: Path, blob: Blob) -> tuple[tuple[CheckpointRef, ...], dict[str, tuple[int, ...]] | None]:
    status = path.stat()
    shapes = None
    references = []
    for name, member in blob.members.items():
        problem, refused = "", False
        try:
            content = read_checkpoint(path, member=name)
        except CheckpointError as error:
            problem, refused = reason_of(error, path), isinstance(error, UnsafeCheckpointError)
        else:
            shapes = shapes or content.shapes
        references.append(
            CheckpointRef(
                path=path,
                epoch=member.epoch,
                step=None,
                size=status.st_size,
                modified_ns=status.st_mtime_ns,
                problem=problem,
                refused=refused,
                member=name,
            )
        )
    return tuple(references), shapes


def _merge(blob: Blob, match: LayoutMatch | None, manifests: ManifestChain) -> dict[str, dict[str, Any]]:
    """Returns the tables of the file, replaced key by key by those of manifests and layout."""
    tables = {name: dict(table) for name, table in blob.parameters.items()}
    for name in ("task", "model", "optimizer", "run"):
        said = dict(manifests.says(name) or {}) | (dict(match.fields) if match and name == "run" else {})
        if said:
            tables[name] = {**tables.get(name, {}), **said}
    return tables
