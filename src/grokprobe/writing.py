"""Carrying out the plans of an analysis: groups, units, history, paths, summary."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Final

from grokprobe import names
from grokprobe.curves import (
    create_path_variables,
    history_attributes,
    in_epoch_units,
    leading_coordinates,
    write_paths,
    write_recorded_history,
    write_summary,
)
from grokprobe.division import build_units, count_left, find_part
from grokprobe.errors import UsageError, reporting_write_errors
from grokprobe.executors import Death, dispatch
from grokprobe.experiment_plan import ExperimentPlan
from grokprobe.pipeline import measure_first, run_unit
from grokprobe.planned_measures import PlannedMeasure
from grokprobe.planning import check_unchanged, epochs_by_run, leading_order
from grokprobe.progress import Progress
from grokprobe.status import Status
from grokprobe.store import Coordinate, Cube, Entry, LedgerWriter, ResultsStore, Shard, next_generation, read_ledger
from grokprobe.units import Receipt, Unit
from grokprobe.user_code import UserCode
from grokprobe.version import __version__

#: Seconds between two publications during long work.
PUBLISH_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How a plan is carried out."""

    #: Where units run.
    executor: Executor
    #: Where they compute.
    device: str
    #: Listener.
    progress: Progress
    #: What a worker loads first.
    code: UserCode
    #: Which part of the plan is measured; None for all of it.
    shard: Shard | None


def write_experiments(
    plans: Sequence[ExperimentPlan], store: ResultsStore, execution: Execution
) -> list[tuple[ExperimentPlan, Receipt]]:
    """Measures what is left to do, writes it, derives paths and summaries.

    Args:
        plans: of the experiments.
        store: open for writing.
        execution: how.

    Returns:
        What was to be done of every experiment, and what was measured and what failed.
    """
    generation = next_generation(store.ledger)
    ledger = LedgerWriter(store.ledger, generation)
    with reporting_write_errors(store.path):
        cubes = {plan.experiment.name: _prepare(plan, store, ledger, execution.device) for plan in plans}
        parts = list(plans)
        if execution.shard is not None:
            parts = find_part(
                plans, {name: next(iter(own.values())) for name, own in cubes.items() if own}, execution.shard
            )
        # lines of the units count over those written so far
        settings = (store.path, generation + 1, execution.device)
        units = [
            unit for part in parts for unit in build_units(part, cubes[part.experiment.name], settings, execution.code)
        ]
    try:
        with store.measuring():
            receipts = _run_units(units, store, execution)
    finally:  # also when interrupted: what is measured is shown, with what follows from it
        try:
            with reporting_write_errors(store.path):
                for plan in plans:
                    write_paths(plan, store)
        finally:
            store.publish()
    done = []
    with reporting_write_errors(store.path):
        entries = read_ledger(store.ledger) if execution.shard is not None else {}
        for plan, part in zip(plans, parts, strict=True):
            failures = write_recorded_history(plan, store, ledger) if plan.experiment.is_native else []
            write_summary(plan, store)
            receipt = receipts.get(plan.experiment.name, Receipt(num_measured={}, failures=()))
            done.append(
                (_with_notice(plan, part, entries), receipt + Receipt(num_measured={}, failures=tuple(failures)))
            )
    store.publish()
    return done


def _run_units(units: Sequence[Unit], store: ResultsStore, execution: Execution) -> dict[str, Receipt]:
    """Returns what the units of each experiment did, in the order of the units and not of their completion."""
    progress, receipts = execution.progress, dict[int, Receipt]()
    progress.start("measuring", sum(len(unit.epochs) for unit in units))
    published = time.monotonic()
    try:
        with contextlib.closing(dispatch(execution.executor, run_unit, units)) as answers:
            for place, answer in answers:
                unit = units[place]
                # a unit that no worker survives is none for this process either: what is left of it is recorded
                receipts[place] = run_unit(replace(unit, fault=answer.reason)) if isinstance(answer, Death) else answer
                seed, init_scale = unit.run.identity
                progress.advance(len(unit.epochs), f"seed {seed} init_scale {init_scale:g}")
                if time.monotonic() - published > PUBLISH_SECONDS:
                    store.publish_meanwhile()
                    published = time.monotonic()
    finally:
        progress.finish()
    totals: dict[str, Receipt] = {}
    for place, receipt in sorted(receipts.items()):
        name = units[place].experiment
        totals[name] = totals[name] + receipt if name in totals else receipt
    return totals


def _with_notice(plan: ExperimentPlan, part: ExperimentPlan, entries: Mapping[Coordinate, Entry]) -> ExperimentPlan:
    num_left = count_left(plan, part, entries) if part is not plan else 0
    if not num_left:
        return part
    notice = f"{plan.experiment.name}: {num_left} of {len(plan.wanted)} results are left to the other shards"
    return replace(part, notices=(*part.notices, notice))


def _prepare(plan: ExperimentPlan, store: ResultsStore, ledger: LedgerWriter, device: str) -> dict[str, Cube]:
    """Creates and grows everything that units write into, and returns the groups of the measures."""
    store.create_experiment(plan.experiment.name, _attributes(plan), replace=plan.recompute)
    cubes = _prepare_groups(plan, store, ledger)
    if not store.is_fixed:  # whoever measures now has created what could be created
        _create_variables(plan, cubes, device)
        create_path_variables(plan, store)
    return cubes


def _create_variables(plan: ExperimentPlan, cubes: Mapping[str, Cube], device: str) -> None:
    """Creates the variables of measures that are new, with the coordinates of their first measurement."""
    for group, measure in plan.measures.items():
        has_work = any(coordinate.group == plan.group(group) for coordinate in plan.todo)
        if has_work and not cubes[group].has_variables(measure.specs):
            runs = [plan.runs[position] for position in plan.applications.runs[group]]
            first = measure_first(measure, runs, device)
            if first is not None:
                specs = in_epoch_units(measure.specs, plan.experiment.epoch_units)
                cubes[group].create_variables(specs, first.coordinates)


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
    splits = sorted({run.split or "unknown" for run in plan.runs})
    is_own = all(run.split == f"seed:{run.coordinates.seed}" for run in plan.runs)
    attributes = measure.attributes() | {
        "constant": sorted(plan.constant),
        "split": "seed:<the run's own>" if is_own else ", ".join(splits),
        "grokprobe_version": __version__,
    }
    if measure.group == names.HISTORY:
        attributes |= history_attributes(plan, "evaluated at the checkpoints")
    return attributes


def _prepare_groups(plan: ExperimentPlan, store: ResultsStore, ledger: LedgerWriter) -> dict[str, Cube]:
    """Creates the groups that are new and grows every measured group of the experiment, all in one order."""
    cubes = {}
    for group, measure in plan.measures.items():
        cube = store.cube(plan.group(group))
        if cube.exists and plan.recompute and not _is_same(plan, measure, cube):
            _forget(plan, cube.path, ledger)
            store.remove(cube.path)
            cube = store.cube(cube.path)
        elif cube.exists:
            check_unchanged(measure, cube.attributes, cube.path)
        cube.create(_measure_attributes(plan, measure), plan.experiment.epoch_units)
        cubes[group] = cube
    measured = [store.cube(path) for path in store.measured_groups(plan.experiment.name)]
    known: dict[str, list[Any]] = {}
    for cube in measured:
        for dim in names.LEADING_DIMS:
            known[dim] = max(known.get(dim, []), list(cube.positions(dim)), key=len)
    order = leading_order(known, leading_coordinates(plan))
    steps = _steps(plan)
    for cube in measured:
        cube.grow(order)
        if steps:
            cube.write_steps(steps)
    return {group: store.cube(cube.path) for group, cube in cubes.items()}


def _is_same(plan: ExperimentPlan, measure: PlannedMeasure, cube: Cube) -> bool:
    """Says whether a group can be measured again in place: same measure, same options, same tensors."""
    try:
        check_unchanged(measure, cube.attributes, cube.path)
    except UsageError:
        return False
    return cube.attributes.get("constant", []) == sorted(plan.constant)


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
