"""The verb ``analyze``: checkpoints in, one labelled dataset out."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import torch

from grokprobe import names
from grokprobe.analysis_report import AnalysisReport, build_report
from grokprobe.atomic import write_atomically
from grokprobe.checkpoints import Discovery, Reading, discover
from grokprobe.checkpoints.digests import DigestCache
from grokprobe.devices import find_device
from grokprobe.errors import CheckpointError, UsageError, reporting_write_errors
from grokprobe.executors import SerialExecutor
from grokprobe.experiment_plan import ExperimentPlan, PlanSettings, digest_or_mark, plan_experiment
from grokprobe.experiments import Identification, group_runs, rename
from grokprobe.interfaces import Task
from grokprobe.placing import SeedNumbers
from grokprobe.planned_measures import PlannedMeasure, build_all_requests, check_tables, plan_measures
from grokprobe.plugins import Plugins, PluginSelection, load_plugins
from grokprobe.progress import Progress, SilentProgress
from grokprobe.settings import parse_conditions, parse_epochs, parse_settings
from grokprobe.store import (
    PRIVATE_DIRECTORY,
    SEEDS_FILE,
    ResultsStore,
    Shard,
    check_format,
    find_url,
    open_place,
    read_ledger,
)
from grokprobe.user_code import UserCode
from grokprobe.writing import Execution, write_experiments

#: Tables of ``--set`` that are no measure.
RESERVED_TABLES: Final = ("task", "model", "run")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRequest:
    """What to analyze and how. Every field but the first has a default."""

    #: A checkpoint file or a directory tree of them.
    checkpoints: Path
    #: The results store to create or to add to: a path, or ``s3://BUCKET/PREFIX``.
    out: str | Path = "results.zarr"
    #: Labels of probes (``name`` or ``name@variant``); None for the cheap ones, ``all`` for all.
    probes: Sequence[str] | None = None
    #: Labels of compressors, likewise. Where one kind is named, the others are not run unless they are, too.
    compressors: Sequence[str] | None = None
    #: Labels of metrics, likewise.
    geometry: Sequence[str] | None = None
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
    #: ``I/N``: measure the I-th of N parts. N processes that are given the same request otherwise measure all of it,
    #: at once or one after the other, into one store. None to measure all of it alone.
    shard: str | None = None
    #: Only say what would be done.
    dry_run: bool = False
    #: Which plugins to load.
    plugins: PluginSelection = field(default_factory=PluginSelection.from_environment)


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
    if request.shard is not None and (request.dry_run or find_url(request.out) is not None):
        found = "--dry-run, which looks at everything" if request.dry_run else f"--out {request.out}"
        raise UsageError(f"--shard: expected a directory that all shards write, found {found}")
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with open_place(request.out) as place:
            report = _analyze(replace(request, out=place.path), place.on_publish, executor, progress)
            return replace(report, results=place.name)
    finally:
        torch.set_num_threads(num_threads)


def _analyze(
    request: AnalysisRequest, on_publish: Callable[[], None], executor: Executor, progress: Progress
) -> AnalysisReport:
    asked = _understand(request)
    discovery = discover(
        request.checkpoints,
        layout=request.layout,
        reading=asked.reading,
        progress=progress,
    )
    _refuse_nothing(discovery, request)
    out = Path(request.out)
    if request.dry_run:
        planned = _plan(asked, discovery, request)
        return build_report(out, discovery, planned.remarks, [(plan, None) for plan in planned.plans])
    execution = Execution(
        executor=executor,
        device=asked.device,
        progress=progress,
        code=UserCode(plugins=request.plugins, task=request.task),
        shard=asked.shard,
    )
    with ResultsStore.open(out, on_publish, asked.shard, progress) as store:
        planned = _plan(asked, discovery, request)  # under the lock: what is done stays true
        planned.remember(out)
        done = write_experiments(planned.plans, store, execution)
    return build_report(out, discovery, planned.remarks, done)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request whose words are understood; nothing has been read for it yet."""

    plugins: Plugins
    settings: Mapping[str, Mapping[str, Any]]
    conditions: Mapping[str, tuple[Any, ...]]
    is_wanted: Callable[[int], bool]
    given_task: type[Task] | None
    measures: tuple[PlannedMeasure, ...]
    reading: Reading
    device: str
    shard: Shard | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """What is to be done, and what is remembered for the next time."""

    plans: list[ExperimentPlan]
    remarks: list[str]
    digest_cache: DigestCache
    numbers: SeedNumbers

    def remember(self, out: Path) -> None:
        """Writes digests of files and numbers of runs into the store's private directory."""
        with reporting_write_errors(out):
            self.digest_cache.save()
            write_atomically(out / PRIVATE_DIRECTORY / SEEDS_FILE, json.dumps(self.numbers.given).encode())


def _understand(request: AnalysisRequest) -> _Asked:
    plugins = load_plugins(request.plugins)
    settings = parse_settings(request.settings)
    labels = {
        names.PROBES: request.probes,
        names.COMPRESSORS: request.compressors,
        names.GEOMETRY: request.geometry,
    }
    requests = build_all_requests(labels, plugins, settings)
    check_tables(settings, requests, RESERVED_TABLES)
    check_format(Path(request.out), may_be_absent=True)
    return _Asked(
        plugins=plugins,
        settings=settings,
        conditions=parse_conditions(request.where),
        is_wanted=parse_epochs(request.epochs),
        given_task=None if request.task is None else plugins.load_task(request.task),
        measures=plan_measures(requests, plugins),
        reading=Reading(
            state_dict_key=str(settings.get("run", {}).get("state_dict", "")),
            readers=plugins.readers,
        ),
        device=find_device(request.device),
        shard=None if request.shard is None else Shard.parse(request.shard),
    )


def _plan(asked: _Asked, discovery: Discovery, request: AnalysisRequest) -> _Planned:
    out = Path(request.out)
    private = out / PRIVATE_DIRECTORY
    stored = ResultsStore(out).experiments() if out.exists() else {}
    held = {name: str(attributes.get("digest", "")) for name, attributes in stored.items()}
    seeds = private / SEEDS_FILE
    numbers = SeedNumbers(json.loads(seeds.read_text()) if seeds.exists() else {})
    identification = Identification(
        find_task=asked.plugins.find_task,
        given_task=asked.given_task,
        settings=asked.settings,
        conditions=asked.conditions,
        numbers=numbers,
    )
    experiments, remarks = group_runs(discovery.runs, identification, held)
    if request.name is not None:
        experiments = rename(experiments, request.name, held)
    digest_cache = DigestCache(private / "digests.jsonl")
    digest_of = digest_or_mark(digest_cache.digest)
    entries = read_ledger(private / "ledger")
    given = PlanSettings(
        settings=asked.settings,
        factory=request.model,
        reading=asked.reading,
        is_wanted=asked.is_wanted,
        retry_failed=request.retry_failed,
        recompute=request.recompute,
    )
    plans = [
        plan_experiment(experiment, asked.measures, (stored.get(experiment.name, {}), entries), digest_of, given)
        for experiment in experiments
    ]
    epochs = [epoch for plan in plans for run in plan.runs for epoch in run.epochs]
    if not any(map(asked.is_wanted, epochs)):
        raise UsageError(f"--epochs {request.epochs}: expected some of {min(epochs)} to {max(epochs)}, selected none")
    return _Planned(plans=plans, remarks=remarks, digest_cache=digest_cache, numbers=numbers)


def _refuse_nothing(discovery: Discovery, request: AnalysisRequest) -> None:
    if discovery.runs:
        return
    failed = (*discovery.refused, *discovery.unreadable)
    if failed:
        raise CheckpointError(f"nothing could be read: {failed[0].path}: {failed[0].reason}{_more(len(failed))}")
    reason = f"{discovery.skipped[0].path}: {discovery.skipped[0].reason}" if discovery.skipped else "no files"
    raise UsageError(f"no checkpoints in {request.checkpoints}: {reason}{_more(len(discovery.skipped))}")


def _more(number: int) -> str:
    return f" (and {number - 1} more)" if number > 1 else ""
