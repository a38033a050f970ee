"""The plan of one experiment: its runs bound, its measures applied, and what is left to do."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from grokprobe import names
from grokprobe.binding import Binding, BoundRun, bind_run, find_constant_tensors
from grokprobe.checkpoints import Reading
from grokprobe.errors import CheckpointError
from grokprobe.experiments import Experiment
from grokprobe.interfaces import Requirement
from grokprobe.planned_measures import PlannedMeasure
from grokprobe.planning import (
    Applications,
    find_applications,
    find_wanted,
    input_digests,
)
from grokprobe.probes.history import EvaluatedHistory, HistoryOptions
from grokprobe.store import Coordinate, Entry

#: Stands for the digest of a file that cannot be opened.
UNREADABLE: Final = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """What a plan depends on beyond experiment and measures."""

    #: Parsed ``--set`` tables.
    settings: Mapping[str, Mapping[str, Any]]
    #: ``MODULE:FACTORY`` of the user's own network, or empty.
    factory: str
    #: How files are read.
    reading: Reading
    #: Whether an epoch is asked for.
    is_wanted: Callable[[int], bool]
    #: Measure again what failed.
    retry_failed: bool
    #: Measure everything again.
    recompute: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPlan:
    """Everything decided before the first checkpoint is measured."""

    #: The experiment.
    experiment: Experiment
    #: Its runs, in the order of its members.
    runs: tuple[BoundRun, ...]
    #: Digest of a file by its path.
    file_digest: Callable[[Path], str]
    #: Measures that apply to at least one run, by group.
    measures: Mapping[str, PlannedMeasure]
    #: Which measures apply where.
    applications: Applications
    #: Coordinate → digest of its inputs, for everything asked for.
    wanted: Mapping[Coordinate, str]
    #: What is not there yet.
    todo: frozenset[Coordinate]
    #: The ledger as it was found.
    entries: Mapping[Coordinate, Entry]
    #: Tensors that are no weights.
    constant: frozenset[str]
    #: Whether a group measured otherwise is replaced.
    recompute: bool
    #: What a user should know about the plan itself.
    notices: tuple[str, ...]

    def group(self, measure_group: str) -> str:
        """Returns the path of a measure's group in the store."""
        return f"{self.experiment.name}/{measure_group}"


def plan_experiment(
    experiment: Experiment,
    measures: tuple[PlannedMeasure, ...],
    stored: tuple[Mapping[str, Any], Mapping[Coordinate, Entry]],
    file_digest: Callable[[Path], str],
    given: PlanSettings,
) -> ExperimentPlan:
    """Decides what to do for one experiment; writes nothing.

    Args:
        experiment: the runs.
        measures: what is asked for.
        stored: attributes of the experiment in the store (empty if it is new), and the ledger.
        file_digest: digest of a file by its path.
        given: the rest.
    """
    attributes, entries = stored
    if not experiment.is_native:
        measures = (*measures, _evaluated_history())
    found = find_constant_tensors(experiment, given.reading)
    constant, notices = _constant_tensors(found, attributes, given.recompute)
    binding = Binding(
        constant=constant,
        settings=given.settings,
        factory=given.factory,
        needed=frozenset().union(*(measure.requires for measure in measures)),
        reading=given.reading,
    )
    runs = tuple(bind_run(experiment, member, binding) for member in experiment.members)
    applications = find_applications(measures, list(runs))
    applying = {measure.group: measure for measure in measures if measure.group in applications.runs}
    wanted = {
        Coordinate(f"{experiment.name}/{group}", *run.identity, epoch): digest
        for group, measure in applying.items()
        for position, run in enumerate(runs)
        if position in applications.runs[group]
        for epoch, digest in input_digests(measure, run, given.is_wanted, file_digest).items()
    }
    todo = find_wanted(entries, wanted, retry_failed=given.retry_failed, recompute=given.recompute)
    return ExperimentPlan(
        experiment=experiment,
        runs=runs,
        file_digest=file_digest,
        measures=applying,
        applications=applications,
        wanted=wanted,
        todo=frozenset(todo),
        entries=entries,
        constant=constant,
        recompute=given.recompute,
        notices=(*notices, *_replaced_ends(runs, applying.values())),
    )


def _replaced_ends(runs: Iterable[BoundRun], measures: Iterable[PlannedMeasure]) -> Iterator[str]:
    """Yields what is compared with instead where the first or the last checkpoint of a run cannot be read."""
    needed = frozenset().union(*(measure.requires for measure in measures))
    for run in runs:
        ends = zip((Requirement.INITIAL, Requirement.FINAL), (run.epochs[0], run.epochs[-1]), run.ends, strict=True)
        for requirement, epoch, readable in ends:
            if requirement in needed and epoch != readable:
                seed, init_scale = run.identity
                yield (
                    f"seed {seed} init_scale {init_scale:g}: the checkpoint of epoch {epoch} cannot be read; what needs"
                    f" the {requirement} takes that of epoch {readable}"
                )


def _constant_tensors(
    found: frozenset[str], attributes: Mapping[str, Any], recompute: bool
) -> tuple[frozenset[str], tuple[str, ...]]:
    """Returns the tensors that are no weights. Decided once, so that a store that grows keeps its layers."""
    if "constant" not in attributes or recompute:
        return found, ()
    stored = frozenset(attributes["constant"])
    late = ", ".join(sorted(found - stored))
    remark = f"{attributes['experiment']}: {late} is constant along the runs, which could not be seen when the store"
    return stored, (f"{remark} was begun; --recompute leaves it out",) if late else ()


def digest_or_mark(digest: Callable[[Path], str]) -> Callable[[Path], str]:
    """Returns ``digest`` for files that may be unreadable: their measures fail, and are tried again once they are."""

    def digest_of(path: Path) -> str:
        try:
            return digest(path)
        except CheckpointError:
            return UNREADABLE

    return digest_of


def _evaluated_history() -> PlannedMeasure:
    probe, options = EvaluatedHistory(), HistoryOptions()
    return PlannedMeasure(
        group=names.HISTORY,
        probe=probe,
        options=options,
        requires=probe.requires,
        reach=0,
        specs=probe.variables(options),
        distribution=("grokprobe", ""),
    )
