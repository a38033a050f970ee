"""Histories and summaries: what the store knows about training, beside what was measured at checkpoints."""

import hashlib
import json
from dataclasses import replace
from typing import Any, Final

import numpy as np

from grokprobe import names
from grokprobe.checkpoints.native import read_history
from grokprobe.derive import SUMMARY_SPECS, summarise
from grokprobe.errors import GrokprobeError
from grokprobe.experiment_plan import ExperimentPlan
from grokprobe.history import HISTORY_SPECS
from grokprobe.pipeline import Failure
from grokprobe.placing import Member
from grokprobe.planning import leading_order
from grokprobe.status import Status
from grokprobe.store import Coordinate, Cube, Entry, LedgerWriter, ResultsStore, Row, read_group

#: Rows of a recorded history per chunk: a history is long and thin.
HISTORY_BLOCK: Final = 4096
#: Epoch of the ledger's entry about a run's whole history.
WHOLE_RUN: Final = -1


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


def write_summary(plan: ExperimentPlan, store: ResultsStore) -> None:
    """Derives times, regime and final values from the history, where there is one."""
    history_path = plan.group(names.HISTORY)
    if not store.cube(history_path).exists:
        return
    history = read_group(store.path, history_path)
    if not {spec.name for spec in HISTORY_SPECS} <= set(history.data_vars):
        return
    summary = summarise(history, float(history.attrs["chance_accuracy"]))
    cube = store.cube(plan.group(names.SUMMARY), leading=names.SUMMARY_DIMS)
    cube.create({"source": names.HISTORY, "chance_accuracy": history.attrs["chance_accuracy"]}, "")
    cube.grow({dim: history[dim].to_numpy().tolist() for dim in names.SUMMARY_DIMS})
    units = plan.experiment.epoch_units
    specs = [replace(spec, units=units) if spec.units == "epochs" else spec for spec in SUMMARY_SPECS]
    cube.create_variables(specs, {})
    has_history = (history[names.STATUS] == int(Status.OK)).any(names.EPOCH)
    for seed in history[names.SEED].to_numpy().tolist():
        for init_scale in history[names.INIT_SCALE].to_numpy().tolist():
            place = {names.SEED: seed, names.INIT_SCALE: init_scale}
            if has_history.sel(place):
                run = summary.sel(place)
                values = {spec.name: spec.checked(run[spec.name].to_numpy(), {}) for spec in SUMMARY_SPECS}
                cube.write_run((seed, init_scale), values)
