"""The verb ``analyze``: checkpoints in, one labelled dataset out."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import torch

from grokprobe import names
from grokprobe.checkpoints import Discovery, Run, SkippedFile, discover
from grokprobe.checkpoints.digests import DigestCache
from grokprobe.devices import find_device
from grokprobe.errors import CheckpointError, UsageError
from grokprobe.executors import SerialExecutor
from grokprobe.experiment_plan import ExperimentPlan, PlanSettings, digest_or_mark, plan_experiment
from grokprobe.experiments import Identification, flatten, group_runs, rename
from grokprobe.pipeline import Failure
from grokprobe.planning import build_requests, check_tables, plan_measures
from grokprobe.plugins import PluginSelection, load_plugins
from grokprobe.progress import Progress, SilentProgress
from grokprobe.settings import meets, parse_conditions, parse_epochs, parse_settings
from grokprobe.status import Status
from grokprobe.store import PRIVATE_DIRECTORY, ResultsStore, check_format, next_generation, read_ledger
from grokprobe.writing import write_experiment

#: Tables of ``--set`` that are no measure.
RESERVED_TABLES: Final = ("task", "model", "run")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRequest:
    """What to analyze and how. Every field but the first has a default."""

    #: A checkpoint file or a directory tree of them.
    checkpoints: Path
    #: The results store to create or to add to.
    out: str | Path = "results.zarr"
    #: Labels of probes (``name`` or ``name@variant``); None for the cheap ones, ``all`` for all.
    probes: Sequence[str] | None = None
    #: Task of checkpoints that do not say theirs: a name, or ``FILE.py:CLASS``.
    task: str | None = None
    #: ``MODULE:FACTORY`` of a network that fits the checkpoints.
    model: str = ""
    #: Pattern of paths, with fields in braces.
    layout: str | None = None
    #: ``KEY=VALUE`` conditions that select runs.
    where: Sequence[str] = ()
    #: Epochs to analyze, such as ``0,10-20,500-``; None for all.
    epochs: str | None = None
    #: ``TABLE.KEY=VALUE`` assignments.
    settings: Sequence[str] = ()
    #: Name of the one experiment.
    name: str | None = None
    #: ``auto``, or a torch device.
    device: str = "auto"
    #: Measure everything again.
    recompute: bool = False
    #: Measure again what failed.
    retry_failed: bool = False
    #: Only say what would be done.
    dry_run: bool = False
    #: Which plugins to load.
    plugins: PluginSelection = field(default_factory=PluginSelection.from_environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentReport:
    """What was done for one experiment."""

    #: Its name in the store.
    name: str
    #: Number of runs, and of distinct epochs.
    num_runs: int
    num_epochs: int
    #: Measure group → (results asked for, results that were measured now).
    measured: Mapping[str, tuple[int, int]]
    #: Measure group → why it does not apply to some or all runs.
    not_applicable: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisReport:
    """What ``analyze`` did and what a user should know."""

    #: Where the dataset is.
    results: Path
    #: By experiment.
    experiments: tuple[ExperimentReport, ...]
    #: Assumptions, contradictions, tensors left out.
    notices: tuple[str, ...]
    #: Files that are no checkpoints; no failure.
    skipped: tuple[SkippedFile, ...]
    #: Results and files that could not be had, also those that failed before and were not tried again.
    failures: tuple[Failure, ...]

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, 3 if something did."""
        return 3 if self.failures else 0


def analyze(
    checkpoints: str | Path, *, executor: Executor | None = None, progress: Progress | None = None, **options: Any
) -> AnalysisReport:
    """Measures checkpoints and writes the results; resumes where an earlier call with the same request stopped.

    Args:
        checkpoints: a checkpoint file or a directory tree of them.
        executor: where units of work run; in this process if None.
        progress: listener.
        **options: fields of :class:`AnalysisRequest`.

    Raises:
        UsageError: an unknown name, an invalid option, nothing to analyze, two runs on one coordinate.
        CheckpointError: no file could be read.
        StoreError: the store is locked, of a newer format, or cannot be written.
    """
    known = [own.name for own in fields(AnalysisRequest)]
    if unknown := sorted(set(options) - set(known)):
        raise UsageError(f"analyze: expected options among {', '.join(known)}, found {unknown[0]!r}")
    request = AnalysisRequest(checkpoints=Path(checkpoints), **options)
    return carry_out(request, executor or SerialExecutor(), progress or SilentProgress())


def carry_out(request: AnalysisRequest, executor: Executor, progress: Progress) -> AnalysisReport:
    """Does what :func:`analyze` does, for a request.

    Torch computes in one thread meanwhile, so that a number does not depend on the machine or the number of workers.
    """
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _analyze(request, executor, progress)
    finally:
        torch.set_num_threads(num_threads)


def _analyze(request: AnalysisRequest, executor: Executor, progress: Progress) -> AnalysisReport:
    plugins = load_plugins(request.plugins)
    settings = parse_settings(request.settings)
    requests = build_requests(names.PROBES, request.probes, plugins, settings)
    check_tables(settings, requests, RESERVED_TABLES)
    measures = plan_measures(requests, plugins)
    out = Path(request.out)
    check_format(out, may_be_absent=True)

    discovery = discover(
        request.checkpoints,
        layout=request.layout,
        state_dict_key=str(settings.get("run", {}).get("state_dict", "")),
        progress=progress,
    )
    runs = _select(discovery, request)
    stored = ResultsStore(out).experiments() if out.exists() else {}
    held = {name: str(attributes.get("digest", "")) for name, attributes in stored.items()}
    identification = Identification(find_task=plugins.find_task, task_name=request.task, settings=settings)
    experiments, remarks = group_runs(runs, identification, held)
    if request.name is not None:
        experiments = rename(experiments, request.name, held)

    private = out / PRIVATE_DIRECTORY
    digest_cache = DigestCache(private / "digests.jsonl")
    entries = read_ledger(private / "ledger")
    digest_of = digest_or_mark(digest_cache.digest)
    given = PlanSettings(
        settings=settings,
        factory=request.model,
        is_wanted=parse_epochs(request.epochs),
        retry_failed=request.retry_failed,
        recompute=request.recompute,
    )
    plans = [
        plan_experiment(experiment, measures, (stored.get(experiment.name, {}), entries), digest_of, given)
        for experiment in experiments
    ]
    failures = [] if request.dry_run else _write(request, plans, (executor, progress), digest_cache)
    notices = [*discovery.warnings, *remarks, *(notice for plan in plans for notice in plan.applications.notices)]
    return AnalysisReport(
        results=out,
        experiments=tuple(_report(plan) for plan in plans),
        notices=tuple(dict.fromkeys(notices)),
        skipped=discovery.skipped,
        failures=(*_unplaced(discovery), *failures),
    )


def _select(discovery: Discovery, request: AnalysisRequest) -> list[Run]:
    """Returns the runs asked for; raises if nothing is left."""
    if not discovery.runs:
        failed = (*discovery.refused, *discovery.unreadable)
        if failed:
            raise CheckpointError(f"nothing could be read: {failed[0].path}: {failed[0].reason}{_more(len(failed))}")
        reason = f"{discovery.skipped[0].path}: {discovery.skipped[0].reason}" if discovery.skipped else "no files"
        raise UsageError(f"no checkpoints in {request.checkpoints}: {reason}{_more(len(discovery.skipped))}")
    conditions = parse_conditions(request.where)
    runs = [run for run in discovery.runs if meets(conditions, _selectable(run))]
    if not runs:
        keys = sorted({key for run in discovery.runs for key in _selectable(run)})
        raise UsageError(f"--where {' '.join(request.where)} selects none of {len(discovery.runs)} runs; keys: {keys}")
    is_wanted = parse_epochs(request.epochs)
    found = sorted({checkpoint.epoch for run in runs for checkpoint in run.checkpoints})
    if not any(is_wanted(epoch) for epoch in found):
        raise UsageError(f"--epochs {request.epochs}: expected some of {found[0]} to {found[-1]}, selected none")
    return runs


def _selectable(run: Run) -> dict[str, Any]:
    parameters = flatten(run.parameters)
    short = {key.partition(".")[2]: value for key, value in parameters.items()}
    own = {"task": parameters.get("task.name"), names.SEED: run.seed, names.INIT_SCALE: run.init_scale}
    return {**short, **parameters, **{key: value for key, value in own.items() if value is not None}}


def _write(
    request: AnalysisRequest,
    plans: list[ExperimentPlan],
    execution: tuple[Executor, Progress],
    digest_cache: DigestCache,
) -> list[Failure]:
    executor, progress = execution
    device = find_device(request.device)
    failures = []
    with ResultsStore.open(Path(request.out)) as store:
        digest_cache.save()
        generation = next_generation(store.ledger)
        for plan in plans:
            failures.extend(write_experiment(plan, store, generation, (executor, device, progress)))
    for plan in plans:
        failures.extend(_failed_before(plan))
    return failures


def _failed_before(plan: ExperimentPlan) -> list[Failure]:
    failed = []
    for coordinate in plan.wanted:
        entry = plan.entries.get(coordinate)
        if coordinate in plan.todo or entry is None or entry.status not in (Status.FAILED, Status.REFUSED):
            continue
        where = (
            f"{coordinate.group} seed {coordinate.seed} init_scale {coordinate.init_scale:g} epoch {coordinate.epoch}"
        )
        failed.append(Failure(where=where, reason=f"{entry.error} (failed before; --retry-failed tries again)"))
    return failed


def _report(plan: ExperimentPlan) -> ExperimentReport:
    measured = {}
    for group in plan.measures:
        asked = [coordinate for coordinate in plan.wanted if coordinate.group == plan.group(group)]
        measured[group] = (len(asked), len(plan.todo.intersection(asked)))
    return ExperimentReport(
        name=plan.experiment.name,
        num_runs=len(plan.runs),
        num_epochs=len({coordinate.epoch for coordinate in plan.wanted}),
        measured=measured,
        not_applicable={
            group: reason
            for group, reason in plan.applications.reasons.items()
            if group != names.HISTORY or plan.experiment.task is not None  # without a task nobody expects one
        },
    )


def _unplaced(discovery: Discovery) -> list[Failure]:
    return [Failure(where=str(file.path), reason=file.reason) for file in (*discovery.refused, *discovery.unreadable)]


def _more(number: int) -> str:
    return f" (and {number - 1} more)" if number > 1 else ""
