"""What has to be measured: which measures apply to which runs, and which results are there already."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokprobe import names
from grokprobe.binding import BoundRun, unmet
from grokprobe.errors import UsageError
from grokprobe.interfaces import Requirement, Task
from grokprobe.planned_measures import PlannedMeasure
from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry

#: (seed, init_scale) of a run.
RunKey = tuple[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applications:
    """Which measures apply to the runs of one experiment."""

    #: Measures that apply to at least one run, with those runs' positions.
    runs: Mapping[str, tuple[int, ...]]
    #: Measure group → why it does not apply to some or all runs.
    reasons: Mapping[str, str]
    #: What a user should know although a measure applies.
    notices: tuple[str, ...]
    #: Measure group → what it raised when it was asked.
    faults: Mapping[str, str]


def find_applications(measures: Iterable[PlannedMeasure], runs: list[BoundRun]) -> Applications:
    """Says which measures apply to which runs, before anything runs."""
    applying: dict[str, tuple[int, ...]] = {}
    reasons: dict[str, str] = {}
    notices: list[str] = []
    faults: dict[str, str] = {}
    for measure in measures:
        positions = []
        for position, run in enumerate(runs):
            reason = unmet(measure.requires, run)
            if not reason:
                try:
                    verdict = measure.probe.applies(run.subject, measure.options)
                except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything: its own cost
                    reason = f"it raised {type(error).__name__}: {error}"
                    faults[measure.group] = reason
                else:
                    reason = verdict.reason
                    notices.extend(f"{measure.group}: {notice}" for notice in verdict.notices)
            if reason:
                reasons.setdefault(measure.group, reason)
            else:
                positions.append(position)
        if positions:
            applying[measure.group] = tuple(positions)
    return Applications(runs=applying, reasons=reasons, notices=tuple(dict.fromkeys(notices)), faults=faults)


def input_digests(
    measure: PlannedMeasure, run: BoundRun, is_wanted: Callable[[int], bool], file_digest: Callable[[Path], str]
) -> dict[int, str]:
    """Returns, by epoch, the digest of everything a result depends on: it changes when, and only when, an input does.

    Args:
        measure: what is measured.
        run: where.
        is_wanted: whether an epoch is asked for.
        file_digest: of a file by its path.
    """
    needs_data = {Requirement.TRAIN_SPLIT, Requirement.TEST_SPLIT} & measure.requires
    shared = [
        measure.attributes() | {"distribution_version": ""},
        _task_version(run.subject.task),
        sorted(run.subject.constant),
        [run.split, run.split_content] if needs_data else [],
        [dict(run.mapping or {}), run.factory] if Requirement.MODEL in measure.requires else [],
        run.reading.state_dict_key,
    ]
    prefix = hashlib.sha256(json.dumps(shared, sort_keys=True).encode())
    files = list(run.checkpoints.values())
    others = [
        *([run.checkpoints[run.ends[0]]] if Requirement.INITIAL in measure.requires else []),
        *([run.checkpoints[run.ends[1]]] if Requirement.FINAL in measure.requires else []),
        *([run.reference] if Requirement.OTHER_RUN in measure.requires and run.reference is not None else []),
    ]
    reach = measure.reach if Requirement.NEIGHBOURS in measure.requires else 0
    digests = {}
    for place, epoch in enumerate(run.checkpoints):
        if not is_wanted(epoch):
            continue
        around = [files[near] for near in (place - reach, place + reach) if reach and 0 <= near < len(files)]
        digest = prefix.copy()
        placed = [f"{file.epoch}:{file.digest(file_digest)}" for file in (files[place], *around, *others)]
        digest.update(" ".join(placed).encode())
        digests[epoch] = digest.hexdigest()
    return digests


def find_wanted(
    entries: Mapping[Coordinate, Entry],
    wanted: Mapping[Coordinate, str],
    *,
    retry_failed: bool,
    recompute: bool,
) -> set[Coordinate]:
    """Returns the coordinates that have to be measured.

    Args:
        entries: the ledger.
        wanted: coordinate → digest of its inputs as they are now.
        retry_failed: also those that failed with the same inputs.
        recompute: all of them.
    """

    def is_done(coordinate: Coordinate, inputs: str) -> bool:
        entry = entries.get(coordinate)
        if entry is None or entry.inputs != inputs or entry.status is Status.MISSING:
            return False
        return entry.status is Status.OK or not retry_failed

    return {coordinate for coordinate, inputs in wanted.items() if recompute or not is_done(coordinate, inputs)}


def epochs_by_run(coordinates: Iterable[Coordinate]) -> dict[tuple[str, RunKey], set[int]]:
    """Returns the epochs of coordinates by group and run."""
    epochs: dict[tuple[str, RunKey], set[int]] = {}
    for group, seed, init_scale, epoch in coordinates:
        epochs.setdefault((group, (seed, init_scale)), set()).add(epoch)
    return epochs


def check_unchanged(measure: PlannedMeasure, stored: Mapping[str, Any], group: str) -> None:
    """Raises unless the group in the store was measured by the same version under the same options.

    Raises:
        UsageError: it was not.
    """
    wanted = measure.attributes()
    name = measure.probe.name
    label = f"{name}-…" if "@" in name else f"{name}@…"  # a second null is fourier@null-…
    for key in ("measure", "measure_version", "options"):
        if stored.get(key) != wanted[key]:
            raise UsageError(
                f"{group} was measured with {key.replace('_', ' ')} {stored.get(key)}, now {wanted[key]} is asked for;"
                f" keep both by a label ({label}), or replace it with --recompute"
            )


def _task_version(task: Task | None) -> list[str]:
    return [] if task is None else [task.name, task.version]


def leading_order(known: Mapping[str, Iterable[Any]], new: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    """Returns leading coordinates with the new values after the known ones, sorted among themselves."""
    order = {}
    for dim in names.LEADING_DIMS:
        first = list(known.get(dim, ()))
        order[dim] = first + sorted(set(new[dim]) - set(first))
    return order
