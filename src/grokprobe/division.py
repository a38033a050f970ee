"""Dividing the plan of an analysis: into units of work, and among processes that share it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from grokprobe.experiment_plan import ExperimentPlan
from grokprobe.planned_measures import PlannedMeasure
from grokprobe.planning import RunKey, epochs_by_run, find_wanted
from grokprobe.status import Status
from grokprobe.store import Coordinate, Cube, Entry, Shard
from grokprobe.units import Unit, UnitMeasure
from grokprobe.user_code import UserCode


def find_part(plans: Sequence[ExperimentPlan], cubes: Mapping[str, Cube], shard: Shard) -> list[ExperimentPlan]:
    """Returns the plans with that alone which is asked of one shard.

    Run after run, and then block after block, the cells are dealt out like cards. So what a shard has to do depends on
    the runs of the command and the stored order of epochs, and not on what is done already.

    Args:
        plans: of all experiments.
        cubes: a measured group of each experiment, by its name, if there is one; they share the order of epochs.
        shard: which part.
    """
    runs = {(plan.experiment.name, run.identity): 0 for plan in plans for run in plan.runs}
    numbers = {run: number for number, run in enumerate(runs)}
    parts = []
    for plan in plans:
        name = plan.experiment.name
        block_of = {}
        if name in cubes:
            blocks = cubes[name].blocks(sorted({coordinate.epoch for coordinate in plan.wanted}))
            block_of = {epoch: block for block, epochs in blocks.items() for epoch in epochs}
        own = {
            coordinate: digest
            for coordinate, digest in plan.wanted.items()
            if shard.owns(numbers[name, coordinate[1:3]] + len(runs) * block_of[coordinate.epoch])
        }
        parts.append(replace(plan, wanted=own, todo=plan.todo.intersection(own)))
    return parts


def count_left(plan: ExperimentPlan, part: ExperimentPlan, entries: Mapping[Coordinate, Entry]) -> int:
    """Returns how many results of a plan other shards still have to measure, by what the ledger says now."""
    others = {coordinate: digest for coordinate, digest in plan.wanted.items() if coordinate not in part.wanted}
    return len(find_wanted(entries, others, retry_failed=False, recompute=False))


def build_units(
    plan: ExperimentPlan, cubes: Mapping[str, Cube], settings: tuple[Path, int, str], code: UserCode
) -> Iterator[Unit]:
    """Yields the units of what is left to do, run after run.

    Args:
        plan: of the experiment.
        cubes: the groups of its measures.
        settings: store, generation of the ledger, device.
        code: what a worker loads first.
    """
    store, generation, device = settings
    todo = epochs_by_run(plan.todo)
    done = epochs_by_run(c for c, entry in plan.entries.items() if entry.status is not Status.MISSING)
    for run in plan.runs:
        epochs = set().union(*(todo.get((cube.path, run.identity), set()) for cube in cubes.values()))
        if not epochs:
            continue
        for number, block in next(iter(cubes.values())).blocks(sorted(epochs)).items():
            measures = []
            for group, measure in plan.measures.items():
                key = (cubes[group].path, run.identity)
                wanted = [epoch for epoch in block if epoch in todo.get(key, ())]
                if wanted:
                    measures.append(_unit_measure(plan, measure, key, (wanted, done.get(key, set()))))
            yield Unit(
                code=code,
                store=store,
                generation=generation,
                experiment=plan.experiment.name,
                run=run,
                block=number,
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
