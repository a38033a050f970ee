"""Carrying out the plan of one experiment: groups, units, history, summary."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final

import numpy as np

from grokprobe import names
from grokprobe.checkpoints.native import read_history
from grokprobe.derive import SUMMARY_SPECS, summarise
from grokprobe.errors import UsageError, reporting_write_errors
from grokprobe.experiment_plan import ExperimentPlan
from grokprobe.experiments import Member
from grokprobe.history import HISTORY_SPECS
from grokprobe.pipeline import Failure, Unit, UnitMeasure, measure_first, run_unit
from grokprobe.planning import PlannedMeasure, RunKey, check_unchanged, epochs_by_run, leading_order
from grokprobe.progress import Progress
from grokprobe.status import Status
from grokprobe.store import (
    Coordinate,
    Cube,
    Entry,
    LedgerWriter,
    ResultsStore,
    Row,
    read_group,
)

#: Rows of a recorded history per chunk: a history is long and thin.
HISTORY_BLOCK: Final = 4096
#: Seconds between two publications during long work.
PUBLISH_SECONDS: Final = 120.0
#: Epoch of the ledger's entry about a run's whole history.
WHOLE_RUN: Final = -1


def write_experiment(
    plan: ExperimentPlan, store: ResultsStore, generation: int, execution: tuple[Executor, str, Progress]
) -> list[Failure]:
    """Measures what is left to do, writes it, derives the summary; returns what failed.

    Args:
        plan: of the experiment.
        store: open for writing.
        generation: of the ledger.
        execution: executor, device and progress.
    """
    executor, device, progress = execution
    experiment = plan.experiment
    ledger = LedgerWriter(store.ledger, generation)
    with reporting_write_errors(store.path):
        store.create_experiment(experiment.name, _attributes(plan))
        cubes = _prepare_groups(plan, store, ledger)
        _create_variables(plan, cubes, device)
        # lines of the units count over those written so far
        units = list(_build_units(plan, cubes, (store.path, generation + 1, device)))
    try:
        failures = _run_units(units, store, executor, progress)
    finally:
        store.publish()  # also when interrupted: what is measured is shown
    with reporting_write_errors(store.path):
        if experiment.is_native:
            _write_recorded_history(plan, store, ledger)
        _write_summary(plan, store)
    store.publish()
    return failures


def _run_units(units: list[Unit], store: ResultsStore, executor: Executor, progress: Progress) -> list[Failure]:
    failures: list[Failure] = []
    progress.start("measuring", sum(len(unit.epochs) for unit in units))
    try:
        published = time.monotonic()
        for unit, receipt in zip(units, executor.map(run_unit, units), strict=True):
            failures.extend(receipt.failures)
            run = unit.run.coordinates
            progress.advance(len(unit.epochs), f"seed {run.seed} init_scale {run.init_scale:g}")
            if time.monotonic() - published > PUBLISH_SECONDS:
                store.publish()
                published = time.monotonic()
    finally:
        progress.finish()
    return failures


def _create_variables(plan: ExperimentPlan, cubes: Mapping[str, Cube], device: str) -> None:
    """Creates the variables of measures that are new, with the coordinates of their first measurement."""
    for group, measure in plan.measures.items():
        has_work = any(coordinate.group == plan.group(group) for coordinate in plan.todo)
        if has_work and not cubes[group].has_variables(measure.specs):
            runs = [plan.runs[position] for position in plan.applications.runs[group]]
            first = measure_first(measure, runs, device)
            if first is not None:
                cubes[group].create_variables(measure.specs, first.coordinates)


def _attributes(plan: ExperimentPlan) -> dict[str, Any]:
    experiment = plan.experiment
    return {
        "experiment": experiment.name,
        "digest": experiment.digest,
        "parameters": {table: dict(content) for table, content in experiment.parameters.items()},
        "task_version": experiment.task.version if experiment.task is not None else "",
        "epoch_units": experiment.epoch_units,
        "constant": sorted(plan.constant),
    }


def _measure_attributes(plan: ExperimentPlan, measure: PlannedMeasure) -> dict[str, Any]:
    attributes = measure.attributes()
    if measure.group == names.HISTORY:
        attributes |= _history_attributes(plan, "evaluated at the checkpoints")
    return attributes


def _history_attributes(plan: ExperimentPlan, source: str) -> dict[str, Any]:
    task = plan.experiment.task
    return {"source": source, "chance_accuracy": task.chance_accuracy if task is not None else 0.0}


def _prepare_groups(plan: ExperimentPlan, store: ResultsStore, ledger: LedgerWriter) -> dict[str, Cube]:
    """Creates the groups that are new and grows every measured group of the experiment, all in one order."""
    cubes = {}
    for group, measure in plan.measures.items():
        cube = store.cube(plan.group(group))
        if cube.exists:
            try:
                check_unchanged(measure, cube.attributes, cube.path)
            except UsageError:
                if not plan.recompute:
                    raise
                _forget(plan, cube.path, ledger)
                store.remove(cube.path)
                cube = store.cube(cube.path)
        cube.create(_measure_attributes(plan, measure), plan.experiment.epoch_units)
        cubes[group] = cube
    measured = [store.cube(path) for path in store.measured_groups(plan.experiment.name)]
    known: dict[str, list[Any]] = {}
    for cube in measured:
        for dim in names.LEADING_DIMS:
            known[dim] = max(known.get(dim, []), list(cube.positions(dim)), key=len)
    order = leading_order(known, _coordinates(plan))
    steps = _steps(plan)
    for cube in measured:
        cube.grow(order)
        if steps:
            cube.write_steps(steps)
    return {group: store.cube(cube.path) for group, cube in cubes.items()}


def _coordinates(plan: ExperimentPlan) -> dict[str, list[Any]]:
    return {
        names.SEED: [member.seed for member in plan.experiment.members],
        names.INIT_SCALE: [member.init_scale for member in plan.experiment.members],
        names.EPOCH: [coordinate.epoch for coordinate in plan.wanted],
    }


def _steps(plan: ExperimentPlan) -> dict[int, int]:
    """Returns the optimizer steps of the epochs at which all runs that know them agree."""
    wanted = {coordinate.epoch for coordinate in plan.wanted}
    known: dict[int, set[int]] = {}
    for run in plan.runs:
        for epoch, checkpoint in run.checkpoints.items():
            if epoch in wanted and checkpoint.step is not None:
                known.setdefault(epoch, set()).add(checkpoint.step)
    return {epoch: next(iter(steps)) for epoch, steps in known.items() if len(steps) == 1}


def _forget(plan: ExperimentPlan, group: str, ledger: LedgerWriter) -> None:
    by_run = epochs_by_run(coordinate for coordinate in plan.entries if coordinate.group == group)
    missing = Entry(status=Status.MISSING, inputs="")
    for (_, run), epochs in by_run.items():
        ledger.append({Coordinate(group, *run, epoch): missing for epoch in sorted(epochs)})


def _build_units(plan: ExperimentPlan, cubes: Mapping[str, Cube], settings: tuple[Path, int, str]) -> Iterator[Unit]:
    store, generation, device = settings
    todo = epochs_by_run(plan.todo)
    done = epochs_by_run(c for c, entry in plan.entries.items() if entry.status is not Status.MISSING)
    for run in plan.runs:
        epochs = set().union(*(todo.get((cube.path, run.identity), set()) for cube in cubes.values()))
        if not epochs:
            continue
        blocks = next(iter(cubes.values())).blocks(sorted(epochs))
        for block in blocks.values():
            measures = []
            for group, measure in plan.measures.items():
                key = (cubes[group].path, run.identity)
                wanted = [epoch for epoch in block if epoch in todo.get(key, ())]
                if wanted:
                    measures.append(_unit_measure(plan, measure, key, (wanted, done.get(key, set()))))
            yield Unit(
                store=store,
                generation=generation,
                experiment=plan.experiment.name,
                run=run,
                digests={epoch: plan.file_digest(run.checkpoints[epoch].path) for epoch in block},
                measures=tuple(measures),
                device=device,
            )


def _unit_measure(
    plan: ExperimentPlan, measure: PlannedMeasure, key: tuple[str, RunKey], epochs: tuple[list[int], set[int]]
) -> UnitMeasure:
    group, run = key
    wanted, done = epochs
    return UnitMeasure(
        measure=measure,
        inputs={epoch: plan.wanted[Coordinate(group, *run, epoch)] for epoch in wanted},
        kept=frozenset(done.difference(wanted)),
        replaced=frozenset(done.intersection(wanted)),
    )


def _write_recorded_history(plan: ExperimentPlan, store: ResultsStore, ledger: LedgerWriter) -> None:
    """Copies the histories of native runs that are new or have grown."""
    cube = store.cube(plan.group(names.HISTORY), block=HISTORY_BLOCK)
    cube.create(_history_attributes(plan, "recorded during training"), plan.experiment.epoch_units)
    histories = [(member, read_history(member.run.path)) for member in plan.experiment.members]
    coordinates = _coordinates(plan)
    coordinates[names.EPOCH] = [int(row[names.EPOCH]) for _, rows in histories for row in rows]
    known = {dim: list(cube.positions(dim)) for dim in names.LEADING_DIMS}
    cube.grow(leading_order(known, coordinates))
    cube.create_variables(HISTORY_SPECS, {})
    for history in histories:
        _write_member_history(plan, cube, history, ledger)


def _write_member_history(
    plan: ExperimentPlan, cube: Cube, history: tuple[Member, list[dict[str, float]]], ledger: LedgerWriter
) -> None:
    member, rows = history
    run = (member.seed, member.init_scale)
    coordinate = Coordinate(cube.path, *run, WHOLE_RUN)
    inputs = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    entry = plan.entries.get(coordinate)
    if not rows or (entry is not None and entry.inputs == inputs and not plan.recompute):
        return
    by_epoch = {
        int(row[names.EPOCH]): Row(
            values={spec.name: spec.checked(np.asarray(row[spec.name]), {}) for spec in HISTORY_SPECS},
            status=Status.OK,
        )
        for row in rows
    }
    for epochs in cube.blocks(list(by_epoch)).values():
        cube.write(run, {epoch: by_epoch[epoch] for epoch in epochs}, frozenset())
    ledger.append({coordinate: Entry(status=Status.OK, inputs=inputs)})


def _write_summary(plan: ExperimentPlan, store: ResultsStore) -> None:
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
    cube.create_variables(SUMMARY_SPECS, {})
    has_history = (history[names.STATUS] == int(Status.OK)).any(names.EPOCH)
    for seed in history[names.SEED].to_numpy().tolist():
        for init_scale in history[names.INIT_SCALE].to_numpy().tolist():
            place = {names.SEED: seed, names.INIT_SCALE: init_scale}
            if has_history.sel(place):
                run = summary.sel(place)
                values = {spec.name: spec.checked(run[spec.name].to_numpy(), {}) for spec in SUMMARY_SPECS}
                cube.write_run((seed, init_scale), values)
