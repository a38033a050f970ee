"""Carrying out the plan of one experiment: groups, units, history, paths, summary."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final

from grokprobe import names
from grokprobe.curves import (
    history_attributes,
    in_epoch_units,
    leading_coordinates,
    write_paths,
    write_recorded_history,
    write_summary,
)
from grokprobe.errors import UsageError, reporting_write_errors
from grokprobe.experiment_plan import ExperimentPlan
from grokprobe.pipeline import Failure, Receipt, Unit, UnitMeasure, measure_first, run_unit
from grokprobe.planned_measures import PlannedMeasure
from grokprobe.planning import RunKey, check_unchanged, epochs_by_run, leading_order
from grokprobe.progress import Progress
from grokprobe.status import Status
from grokprobe.store import (
    Coordinate,
    Cube,
    Entry,
    LedgerWriter,
    ResultsStore,
)
from grokprobe.version import __version__

#: Seconds between two publications during long work.
PUBLISH_SECONDS: Final = 120.0


def write_experiment(
    plan: ExperimentPlan, store: ResultsStore, generation: int, execution: tuple[Executor, str, Progress]
) -> Receipt:
    """Measures what is left to do, writes it, derives the summary; returns what was measured and what failed.

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
        store.create_experiment(experiment.name, _attributes(plan), replace=plan.recompute)
        cubes = _prepare_groups(plan, store, ledger)
        _create_variables(plan, cubes, device)
        # lines of the units count over those written so far
        units = list(_build_units(plan, cubes, (store.path, generation + 1, device)))
    try:
        receipt = _run_units(units, store, executor, progress)
    finally:  # also when interrupted: what is measured is shown, with what follows from it
        try:
            with reporting_write_errors(store.path):
                write_paths(plan, store)
        finally:
            store.publish()
    with reporting_write_errors(store.path):
        failures = write_recorded_history(plan, store, ledger) if experiment.is_native else []
        write_summary(plan, store)
    store.publish()
    return Receipt(num_measured=receipt.num_measured, failures=(*receipt.failures, *failures))


def _run_units(units: list[Unit], store: ResultsStore, executor: Executor, progress: Progress) -> Receipt:
    failures: list[Failure] = []
    num_measured: Counter[str] = Counter()
    progress.start("measuring", sum(len(unit.epochs) for unit in units))
    try:
        published = time.monotonic()
        for unit, receipt in zip(units, executor.map(run_unit, units), strict=True):
            failures.extend(receipt.failures)
            num_measured.update(receipt.num_measured)
            run = unit.run.coordinates
            progress.advance(len(unit.epochs), f"seed {run.seed} init_scale {run.init_scale:g}")
            if time.monotonic() - published > PUBLISH_SECONDS:
                store.publish()
                published = time.monotonic()
    finally:
        progress.finish()
    return Receipt(num_measured=num_measured, failures=tuple(failures))


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
