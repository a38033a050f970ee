"""Files of one run put in order, with the run's coordinates."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from grokprobe.checkpoints.digests import file_digest
from grokprobe.checkpoints.reading import Reading
from grokprobe.checkpoints.runs import CheckpointRef, Run
from grokprobe.checkpoints.sightings import FileState, Findings, Settled, Sighting, settle
from grokprobe.errors import UsageError
from grokprobe.names import EPOCH, INIT_SCALE, SEED

_NO_POSITION = (
    "neither its name nor a field 'epoch' or 'global_step' in it says its epoch;"
    " say it with --layout (a pattern with {epoch}) or with [epochs] in a grokprobe.toml"
)
_TABLES = ("task", "model", "optimizer")


def build_run(path: Path, sightings: Sequence[Sighting], reading: Reading, findings: Findings) -> Run | None:
    """Builds the run of ``sightings``, which share one identity ``path``.

    Returns:
        The run; None if no readable file of it has a position. What is left out is noted in ``findings``.

    Raises:
        UsageError: two different checkpoints of one epoch.
    """
    readable = [sighting for sighting in sightings if sighting.state.header is not None]
    units = _choose_units(readable, path, findings)
    placed = _place(readable, units, reading, findings)
    for sighting in sightings:
        if sighting.state.header is None:
            position = sighting.position(units)
            if placed and position is not None and position.value not in placed:
                placed[position.value] = sighting
            else:
                findings.leave_out(sighting.state)
    if not placed:
        return None
    ordered = [placed[epoch] for epoch in sorted(placed)]
    shapes = _shapes(path, ordered, findings)
    seed, init_scale, split, tables = _coordinates(path, ordered[0], findings)
    positions = [_require(sighting.position(units)) for sighting in ordered]
    _warn_of_positions(path, ordered, units, findings)
    settled = {SEED: seed, INIT_SCALE: init_scale, "split": split}
    sources = {name: coordinate.source for name, coordinate in settled.items() if coordinate is not None}
    return Run(
        path=path,
        seed=seed.value if seed else None,
        init_scale=float(init_scale.value) if init_scale else None,
        recipe=None,
        parameters=tables,
        split=split.value if split else None,
        checkpoints=tuple(map(_reference, ordered, positions)),
        shapes=shapes,
        epoch_units=units,
        sources={**sources, EPOCH: ", ".join(dict.fromkeys(position.source for position in positions))},
        is_native=False,
    )


def _choose_units(readable: Sequence[Sighting], path: Path, findings: Findings) -> str:
    """Epochs if at least as many files say them as say steps, unless only the steps tell the files apart."""
    epochs = [sighting.epoch.value for sighting in readable if sighting.epoch is not None]
    steps = [sighting.step.value for sighting in readable if sighting.step is not None]
    if len(steps) > len(epochs):
        return "steps"
    if len(set(epochs)) < len(epochs) == len(set(steps)) == len(steps):
        findings.warnings.append(
            f"{path}: several checkpoints fall into one epoch, so the run is counted in steps, which differ"
        )
        return "steps"
    return "epochs"


def _place(readable: Sequence[Sighting], units: str, reading: Reading, findings: Findings) -> dict[int, Sighting]:
    placed: dict[int, Sighting] = {}
    for sighting in readable:
        path = sighting.state.path
        position = sighting.position(units)
        if position is None:
            other = sighting.step if units == "epochs" else sighting.epoch
            counted = "steps" if units == "epochs" else "epochs"
            findings.skip(path, _missing(sighting) if other is None else f"says {counted}, its run counts {units}")
            continue
        first = placed.setdefault(position.value, sighting)
        if first is sighting:
            continue
        if not _are_equal(first.state, sighting.state, reading):
            raise UsageError(
                f"two different checkpoints of one run at {units[:-1]} {position.value}: {first.state.path}"
                f" and {path}; remove one, or tell the runs apart with --layout"
            )
        findings.skip(path, f"duplicate of {first.state.path}")
    return placed


def _missing(sighting: Sighting) -> str:
    unparsed = {} if sighting.match is None else sighting.match.unparsed
    read = ", ".join(f"{{{name}}} reads {text!r}, which is no number" for name, text in unparsed.items())
    return f"{read}, and {_NO_POSITION}" if read else _NO_POSITION


def _are_equal(first: FileState, second: FileState, reading: Reading) -> bool:
    """Equal bytes, or equal parameters (one copy may hold an optimizer state or histories beside them)."""
    is_whole = not any(state.header and state.header.parts for state in (first, second))
    if is_whole and first.size == second.size and file_digest(first.path) == file_digest(second.path):
        return True
    one, two = reading.read(first.path).parameters, reading.read(second.path).parameters
    return set(one) == set(two) and all(_same_bits(one[name], two[name]) for name in one)


def _same_bits(one: torch.Tensor, two: torch.Tensor) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    return torch.equal(one.reshape(-1).view(torch.uint8), two.reshape(-1).view(torch.uint8))  # NaN equals itself


def _shapes(path: Path, ordered: Sequence[Sighting], findings: Findings) -> Mapping[str, tuple[int, ...]]:
    headers = [(sighting.state.path, sighting.state.header) for sighting in ordered if sighting.state.header]
    shapes = headers[0][1].shapes
    odd = [file for file, header in headers if header.shapes != shapes]
    if odd:
        findings.warnings.append(
            f"{path}: {_first_of(odd)} holds tensors of other names or shapes than {headers[0][0].name}"
        )
    return shapes


def _coordinates(
    path: Path, first: Sighting, findings: Findings
) -> tuple[Settled | None, Settled | None, Settled | None, dict[str, dict[str, Any]]]:
    match, manifests = first.match, first.manifests
    seed = settle(("layout", match.seed if match else None), ("manifest", manifests.says(SEED)))
    init_scale = settle(("layout", match.init_scale if match else None), ("manifest", manifests.says(INIT_SCALE)))
    split = settle(("manifest", manifests.says("split")))
    tables = {name: manifests.says(name) for name in _TABLES}
    said = {"layout": dict(match.fields) if match else {}, "manifest": manifests.says("run") or {}}
    fields = {
        name: _require(settle(*((source, values.get(name)) for source, values in said.items())))
        for name in {**said["layout"], **said["manifest"]}
    }
    for name, settled in {SEED: seed, INIT_SCALE: init_scale, **fields}.items():
        if settled is not None and settled.conflict is not None:
            findings.warnings.append(f"{path}: {_dispute(name, settled)}")
    for name, text in (match.unparsed if match else {}).items():
        if name in {SEED, INIT_SCALE}:
            findings.warnings.append(f"{path}: {{{name}}} of the layout reads {text!r}, which is no {name}; not used")
    tables["run"] = {name: settled.value for name, settled in fields.items()}
    return seed, init_scale, split, {name: dict(table) for name, table in tables.items() if table}


def _warn_of_positions(path: Path, ordered: Sequence[Sighting], units: str, findings: Findings) -> None:
    """One warning for each pair of sources that contradict each other, however many files do."""
    disputes: dict[tuple[str, str], list[tuple[Path, Settled]]] = {}
    for sighting in ordered:
        settled = _require(sighting.position(units))
        if settled.conflict is not None:
            disputes.setdefault((settled.source, settled.conflict[0]), []).append((sighting.state.path, settled))
    for files in disputes.values():
        names = _first_of([file for file, _ in files])
        findings.warnings.append(f"{path}: {_dispute(units[:-1], files[0][1])} ({names})")


def _dispute(name: str, settled: Settled) -> str:
    other_source, other = settled.conflict or ("", None)
    return (
        f"{name} is {settled.value} by the {settled.source} and {other} by the {other_source};"
        f" the {settled.source} is believed"
    )


def _first_of(paths: Sequence[Path]) -> str:
    others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0].name}{others}"


def _reference(sighting: Sighting, position: Settled) -> CheckpointRef:
    return sighting.state.reference(position.value, sighting.step.value if sighting.step else None)


def _require(settled: Settled | None) -> Settled:
    if settled is None:
        raise AssertionError("a placed checkpoint has a position")
    return settled
