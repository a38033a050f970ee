"""Faults mended: what is lost becomes missing, so that nobody takes it for a result and the next analysis measures it.

Whatever is said to be there stays there until the ledger says that it is missing; a kill in between costs nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import zarr

from grokprobe import names
from grokprobe.atomic import PARTIAL_SUFFIX, write_atomically
from grokprobe.status import Status
from grokprobe.store.arrays import DECODING_ERRORS, chunk_file, open_array
from grokprobe.store.coordinates import UNKNOWN_STEP
from grokprobe.store.cube import Cube
from grokprobe.store.fault import Fault, Part
from grokprobe.store.ledger import WHOLE_RUN, Coordinate, Entry, LedgerWriter, next_generation
from grokprobe.store.nodes import METADATA_FILE, published_nodes
from grokprobe.store.results import PRIVATE_DIRECTORY, UNFINISHED_MARK, ResultsStore, consolidate


def mend(path: Path, faults: Sequence[Fault], entries: Mapping[Coordinate, Entry]) -> None:
    """Mends the faults of the store at ``path``, and publishes it.

    Metadata come back from their published copy. A group without its coordinates is removed. Of results, the chunk that
    is damaged is deleted and ``status`` becomes missing; values of other variables beside it stay as they are.

    Args:
        path: of the store, whose lock is held.
        faults: of it.
        entries: what its ledger says.
    """
    store, mark = ResultsStore(path), path / PRIVATE_DIRECTORY / UNFINISHED_MARK
    was_unfinished = mark.exists()
    mark.touch()  # if this is killed, whoever opens the store next tidies up
    ledger = LedgerWriter(store.ledger, next_generation(store.ledger))
    published = published_nodes(path)
    for fault in faults:
        node = f"{fault.group}/{fault.variable}".strip("/")
        if fault.part is Part.METADATA and node in published and not _is_readable(path / node / METADATA_FILE):
            (path / node).mkdir(parents=True, exist_ok=True)
            write_atomically(path / node / METADATA_FILE, json.dumps(published[node], indent=2).encode())
    removed = {fault.group for fault in faults if fault.part is Part.GROUP}
    for group in sorted(removed):
        _forget(ledger, entries, group)
        if (path / group).exists():
            store.remove(group)
    for fault in faults:
        if fault.part is Part.CELL and fault.group not in removed:
            _mend_cell(path, fault, ledger, entries)
    for partial in path.rglob(f"*{PARTIAL_SUFFIX}"):
        partial.unlink()
    consolidate(path)
    if not was_unfinished:
        mark.unlink()


def _mend_cell(path: Path, fault: Fault, ledger: LedgerWriter, entries: Mapping[Coordinate, Entry]) -> None:
    if fault.variable == names.STEP:
        _delete_undecodable(path, open_array(path, f"{fault.group}/{names.STEP}"), (0,))
        open_array(path, f"{fault.group}/{names.STEP}")[:] = UNKNOWN_STEP
        return
    run = (fault.seed or 0, fault.init_scale or 0.0)
    _forget(ledger, entries, fault.group, run, {*fault.epochs, WHOLE_RUN})
    status = open_array(path, f"{fault.group}/{names.STATUS}")
    has_epochs = (path / fault.group / names.EPOCH).exists()
    cube = Cube(path, fault.group, leading=names.LEADING_DIMS if has_epochs else names.SUMMARY_DIMS, block=1)
    if run[0] not in cube.positions(names.SEED) or run[1] not in cube.positions(names.INIT_SCALE):
        return
    place = cube.positions(names.SEED)[run[0]], cube.positions(names.INIT_SCALE)[run[1]]
    positions = [cube.positions(names.EPOCH)[epoch] for epoch in fault.epochs if epoch in cube.positions(names.EPOCH)]
    chunks = {(*place, position // status.chunks[2]) for position in positions} if has_epochs else {place}
    for chunk in chunks:
        _delete_undecodable(path, status, chunk)
    if not has_epochs:
        status[place] = int(Status.MISSING)
    elif positions:
        status.oindex[(*place, np.array(positions))] = int(Status.MISSING)
    for chunk in chunks if fault.variable else ():
        _delete_undecodable(path, open_array(path, f"{fault.group}/{fault.variable}"), chunk)


def _forget(
    ledger: LedgerWriter,
    entries: Mapping[Coordinate, Entry],
    group: str,
    run: tuple[int, float] | None = None,
    epochs: set[int] | None = None,
) -> None:
    """Says in the ledger that results are missing: of a whole group, or of some epochs of a run."""
    by_run: dict[tuple[int, float], dict[Coordinate, Entry]] = {}
    for coordinate in entries:
        own = (coordinate.seed, coordinate.init_scale)
        if coordinate.group == group and run in (None, own) and (epochs is None or coordinate.epoch in epochs):
            by_run.setdefault(own, {})[coordinate] = Entry(status=Status.MISSING, inputs="")
    for missing in by_run.values():
        ledger.append(missing)


def _delete_undecodable(path: Path, array: zarr.Array, place: tuple[int, ...]) -> None:
    chunks = cast("tuple[int, ...]", array.chunks)
    spans = tuple(slice(at * length, (at + 1) * length) for at, length in zip(place, chunks, strict=False))
    try:
        array[spans]
    except DECODING_ERRORS:
        chunk_file(path, array, place).unlink(missing_ok=True)


def _is_readable(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_text()), dict)
    except (OSError, ValueError):
        return False
