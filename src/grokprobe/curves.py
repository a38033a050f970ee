"""Histories, paths and summaries: what the store knows about whole runs, beside what was measured at checkpoints."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.checkpoints.native import read_history
from grokprobe.derive import SUMMARY_SPECS, summarise
from grokprobe.derive.paths import PERIOD_SPECS, derive_path, find_grokking_period, path_specs, period_specs
from grokprobe.errors import GrokprobeError
from grokprobe.experiment_plan import ExperimentPlan
from grokprobe.history import HISTORY_SPECS
from grokprobe.placing import Member
from grokprobe.planning import leading_order
from grokprobe.status import Status
from grokprobe.store import WHOLE_RUN, Coordinate, Cube, Entry, LedgerWriter, ResultsStore, Row, read_group
from grokprobe.units import Failure
from grokprobe.variables import VariableSpec

#: Rows of a recorded history per chunk: a history is long and thin.
HISTORY_BLOCK: Final = 4096


def history_attributes(plan: ExperimentPlan, source: str) -> dict[str, Any]:
    """Returns the attributes of a history: where it comes from, and the accuracy of guessing."""
    task = plan.experiment.task
    return {"source": source, "chance_accuracy": task.chance_accuracy if task is not None else 0.0}


def leading_coordinates(plan: ExperimentPlan) -> dict[str, list[Any]]:
    """Returns the seeds, scales and epochs that are asked for."""
    return {
        names.SEED: [member.seed for member in plan.experiment.members],
        names.INIT_SCALE: [member.init_scale for member in plan.experiment.members],
        names.EPOCH: [coordinate.epoch for coordinate in plan.wanted],
    }


def write_recorded_history(plan: ExperimentPlan, store: ResultsStore, ledger: LedgerWriter) -> list[Failure]:
    """Copies the histories of native runs that are new or have grown; returns those that cannot be read."""
    cube = store.cube(plan.group(names.HISTORY), block=HISTORY_BLOCK)
    cube.create(history_attributes(plan, "recorded during training"), plan.experiment.epoch_units)
    histories: list[tuple[Member, dict[int, Row]]] = []
    failures = []
    for member in plan.experiment.members:
        try:
            histories.append((member, _history_rows(read_history(member.run.path))))
        except (GrokprobeError, KeyError, TypeError, ValueError) as error:
            failures.append(Failure(where=f"{cube.path} of {member.run.path}", reason=f"not a history: {error}"))
    coordinates = leading_coordinates(plan)
    coordinates[names.EPOCH] = [epoch for _, rows in histories for epoch in rows]
    known = {dim: list(cube.positions(dim)) for dim in names.LEADING_DIMS}
    cube.grow(leading_order(known, coordinates))
    cube.create_variables(HISTORY_SPECS, {})
    for member, rows in histories:
        _write_member_history(plan, cube, (member, rows), ledger)
    return failures


def _history_rows(rows: list[dict[str, float]]) -> dict[int, Row]:
    return {
        int(row[names.EPOCH]): Row(
            values={spec.name: spec.checked(np.asarray(row[spec.name]), {}) for spec in HISTORY_SPECS},
            status=Status.OK,
        )
        for row in rows
    }


def _write_member_history(
    plan: ExperimentPlan, cube: Cube, history: tuple[Member, dict[int, Row]], ledger: LedgerWriter
) -> None:
    member, rows = history
    run = (member.seed, member.init_scale)
    coordinate = Coordinate(cube.path, *run, WHOLE_RUN)
    content = [[epoch, *(float(value) for value in row.values.values())] for epoch, row in rows.items()]
    inputs = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    entry = plan.entries.get(coordinate)
    if not rows or (entry is not None and entry.inputs == inputs and not plan.recompute):
        return
    for epochs in cube.blocks(list(rows)).values():
        cube.write(run, {epoch: rows[epoch] for epoch in epochs}, frozenset())
    ledger.append({coordinate: Entry(status=Status.OK, inputs=inputs)})


def create_path_variables(plan: ExperimentPlan, store: ResultsStore) -> None:
    """Creates the variables of :func:`write_paths`, so that whoever writes a work cell leaves no gap in them."""
    for group in _measured_paths(plan, store):
        specs = path_specs({spec.name for spec in plan.measures[group].specs})
        store.cube(plan.group(group)).create_variables(in_epoch_units(specs, plan.experiment.epoch_units), {})


def write_paths(plan: ExperimentPlan, store: ResultsStore) -> None:
    """Derives what accumulates along a run, for every metric of the plan, from what was measured at the checkpoints."""
    for group in _measured_paths(plan, store):
        path = plan.group(group)
        measured = read_group(store.path, path)
        derived, specs, cube = derive_path(measured), path_specs(measured), store.cube(path)
        for run, place in _runs(measured):
            is_measured = measured[names.STATUS].sel(place) == int(Status.OK)
            epochs = measured[names.EPOCH][is_measured.to_numpy()].to_numpy().tolist()
            of_run = derived.sel(place).sel({names.EPOCH: epochs})
            cube.write_derived(run, {spec.name: _checked(spec, epochs, of_run[spec.name]) for spec in specs})


def _checked(spec: VariableSpec, epochs: list[int], values: xr.DataArray) -> dict[int, np.ndarray]:
    pairs = zip(epochs, values.to_numpy(), strict=True)
    return {epoch: spec.checked(np.asarray(value), {}) for epoch, value in pairs}


def write_summary(plan: ExperimentPlan, store: ResultsStore) -> None:
    """Derives times, regime, final values and grokking periods, from the history and the paths that there are."""
    parts = [*_summarise_history(plan, store), *_summarise_paths(plan, store)]
    if not parts:
        return
    cube = store.cube(plan.group(names.SUMMARY), leading=names.SUMMARY_DIMS)
    cube.create(parts[0].attributes, "")
    cube.grow(
        {dim: [value for part in parts for value in part.values[dim].to_numpy().tolist()] for dim in names.SUMMARY_DIMS}
    )
    values: dict[tuple[int, float], dict[str, np.ndarray]] = {}
    for part in parts:
        cube.create_variables(in_epoch_units(part.specs, plan.experiment.epoch_units), {})
        for run, place in _runs(part.values):
            if part.is_known.sel(place):
                own = part.values.sel(place)
                known = {spec.name: spec.checked(own[spec.name].to_numpy(), {}) for spec in part.specs}
                values.setdefault(run, {}).update(known)
    for run, of_run in values.items():
        cube.write_run(run, of_run)


def in_epoch_units(specs: Iterable[VariableSpec], epoch_units: str) -> list[VariableSpec]:
    """Returns ``specs`` with units in what the run counts: "epochs" becomes "steps" where it counts steps."""
    unit = epoch_units.removesuffix("s")
    return [replace(spec, units=spec.units.replace("epoch", unit)) for spec in specs]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SummaryPart:
    """What one source says about whole runs."""

    #: Over (seed, init_scale).
    values: xr.Dataset
    #: Of its variables.
    specs: tuple[VariableSpec, ...]
    #: Runs that it knows.
    is_known: xr.DataArray
    #: Of the group, if this is its first part.
    attributes: Mapping[str, Any]


def _summarise_history(plan: ExperimentPlan, store: ResultsStore) -> Iterator[_SummaryPart]:
    path = plan.group(names.HISTORY)
    if not store.cube(path).exists:
        return
    history = read_group(store.path, path)
    if not {spec.name for spec in HISTORY_SPECS} <= set(history.data_vars):
        return
    chance = history.attrs["chance_accuracy"]
    yield _SummaryPart(
        values=summarise(history, float(chance)),
        specs=SUMMARY_SPECS,
        is_known=(history[names.STATUS] == int(Status.OK)).any(names.EPOCH),
        attributes={"source": names.HISTORY, "chance_accuracy": chance},
    )


def _summarise_paths(plan: ExperimentPlan, store: ResultsStore) -> Iterator[_SummaryPart]:
    for group in _measured_paths(plan, store):
        measured = read_group(store.path, plan.group(group))
        period, specs = find_grokking_period(measured), period_specs(group.partition("/")[2])
        yield _SummaryPart(
            values=period.rename({own.name: spec.name for own, spec in zip(PERIOD_SPECS, specs, strict=True)}),
            specs=specs,
            is_known=(measured[names.STATUS] == int(Status.OK)).any(names.EPOCH),
            attributes={"source": names.GEOMETRY},
        )


def _measured_paths(plan: ExperimentPlan, store: ResultsStore) -> list[str]:
    """Returns the groups of metrics in the plan that have variables."""
    return [
        group
        for group, measure in plan.measures.items()
        if group.startswith(f"{names.GEOMETRY}/") and store.cube(plan.group(group)).has_variables(measure.specs)
    ]


def _runs(dataset: xr.Dataset) -> Iterator[tuple[tuple[int, float], dict[str, Any]]]:
    """Yields seed and init_scale of every run, and how to select it."""
    for seed in dataset[names.SEED].to_numpy().tolist():
        for init_scale in dataset[names.INIT_SCALE].to_numpy().tolist():
            yield (seed, init_scale), {names.SEED: seed, names.INIT_SCALE: init_scale}
