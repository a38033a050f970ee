"""Checkpoints that are measured while the run goes on and then deleted.

Training pauses at every so many scheduled checkpoints. What ``grokprobe analyze`` would do is then done with the
checkpoints that are there, and those that nothing needs any more are deleted. An epoch is measured once the checkpoints
after it that a measure looks at are there, and stays until those before which it lies have been measured.
"""

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from grokprobe import analysis, names
from grokprobe.analysis_report import AnalysisReport
from grokprobe.checkpoints.native import read_manifest, write_manifest
from grokprobe.errors import UsageError
from grokprobe.executors import SerialExecutor
from grokprobe.interfaces import Requirement
from grokprobe.planned_measures import PlannedMeasure, build_all_requests, check_tables, plan_measures
from grokprobe.plugins import Plugins, PluginSelection
from grokprobe.progress import Progress
from grokprobe.settings import parse_settings
from grokprobe.training.batch import RunReport, RunRequest, TrainReport
from grokprobe.training.run_directory import delete_checkpoints, find_checkpoints
from grokprobe.training.tables import ScheduleTable

#: Scheduled checkpoints between two pauses: the disk never holds many more of a run.
STAGE_CHECKPOINTS: Final = 32
#: What is not known yet while a run is in training.
UNKNOWN: Final = (Requirement.FINAL, Requirement.OTHER_RUN)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingAnalysis:
    """What to measure during training."""

    #: Labels of probes; where no kind is named, the cheap measures that need neither another run nor the last epoch.
    probes: Sequence[str] | None = None
    #: Labels of compressors, likewise.
    compressors: Sequence[str] | None = None
    #: Labels of metrics, likewise.
    geometry: Sequence[str] | None = None
    #: ``TABLE.KEY=VALUE`` assignments of the measures' options.
    settings: Sequence[str] = ()
    #: The results store to create or to add to.
    results: str | Path = "results.zarr"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingPlan:
    """A rolling analysis whose measures are known to be possible."""

    #: The request of ``analyze`` without directory, runs and epochs.
    request: analysis.AnalysisRequest
    #: How many checkpoints before and after its own a measure looks at.
    reach: int


def plan_rolling(asked: RollingAnalysis, plugins: Plugins, selection: PluginSelection, device: str) -> RollingPlan:
    """Says what is measured during training.

    Raises:
        UsageError: an unknown measure or option, or a measure that needs the final checkpoint or another run.
    """
    settings = parse_settings(asked.settings)
    labels = {names.PROBES: asked.probes, names.COMPRESSORS: asked.compressors, names.GEOMETRY: asked.geometry}
    requests = build_all_requests(labels, plugins, settings)
    check_tables(settings, requests)
    measures = plan_measures(requests, plugins)
    refused = {measure.group: needs for measure in measures if (needs := _unknown_needs(measure))}
    if refused and any(chosen is not None for chosen in labels.values()):
        group, needs = next(iter(refused.items()))
        raise UsageError(f"--analyze: {group} needs the {needs}, which is not known during training; analyze it later")
    possible = [measure for measure in measures if measure.group not in refused]
    chosen = {kind: [label for group, label in _split_groups(possible) if group == kind] or None for kind in labels}
    return RollingPlan(
        request=analysis.AnalysisRequest(
            checkpoints=Path(),
            out=asked.results,
            probes=chosen[names.PROBES],
            compressors=chosen[names.COMPRESSORS],
            geometry=chosen[names.GEOMETRY],
            settings=asked.settings,
            device=device,
            plugins=selection,
        ),
        reach=max((one.reach for one in possible if Requirement.NEIGHBOURS in one.requires), default=0),
    )


def train_and_analyze(
    train_until: Callable[[int], TrainReport], requests: Sequence[RunRequest], plan: RollingPlan, progress: Progress
) -> tuple[TrainReport, tuple[AnalysisReport, ...]]:
    """Trains to the end of the schedule and measures on the way.

    Killed at any moment and begun again it goes on to the same results: a run's manifest says up to which epoch its
    checkpoints were measured before any of them is deleted.

    Args:
        train_until: trains every run up to an epoch.
        requests: the runs.
        plan: what to measure.
        progress: told of both, in turns.

    Returns:
        What became of the runs, and the report of every analysis that was made.
    """
    schedule = requests[0].recipe.schedule
    reports: list[TrainReport] = []
    analyses: list[AnalysisReport] = []
    for stop, measured in _find_stages(schedule, plan.reach):
        is_last = stop == schedule.epochs
        if 0 <= measured <= min(map(_measured_until, requests)) and not is_last:
            continue  # that was done before an interruption
        reports.append(train_until(stop))
        end = stop if is_last else measured
        made = [_analyze(group, plan, (start + 1, end), progress) for start, group in _find_groups(requests)]
        analyses += [one for one in made if one is not None]
        if not any(one is not None and one.failures for one in made):
            _delete_measured(requests, measured, plan.reach)
    return functools.reduce(_merge, reports), tuple(analyses)


def _unknown_needs(measure: PlannedMeasure) -> str:
    return " and ".join(str(need) for need in UNKNOWN if need in measure.requires)


def _split_groups(measures: Iterable[PlannedMeasure]) -> list[tuple[str, str]]:
    return [(kind, label) for kind, _, label in (measure.group.partition("/") for measure in measures)]


def _find_stages(schedule: ScheduleTable, reach: int) -> list[tuple[int, int]]:
    """Returns the epochs at which training pauses, each with the last epoch that has ``reach`` checkpoints after it.

    That epoch is −1 where there is none.
    """
    scheduled = schedule.checkpoint_epochs()
    places = [*range(STAGE_CHECKPOINTS - 1, len(scheduled) - 1, STAGE_CHECKPOINTS), len(scheduled) - 1]
    return [(scheduled[place], scheduled[place - reach] if place >= reach else -1) for place in places]


def _measured_until(request: RunRequest) -> int:
    return read_manifest(request.directory).measured_until


def _find_groups(requests: Iterable[RunRequest]) -> list[tuple[int, list[RunRequest]]]:
    """Returns the runs that are measured together, with the epoch up to which they were measured before.

    They are of one experiment, and all scales of all seeds among them, so that no other run is measured: one that was
    measured further has deleted checkpoints, and those next to the gap would pass for neighbours.
    """
    by_seed: dict[tuple[Path, int, int], list[RunRequest]] = {}
    for request in requests:
        by_seed.setdefault((request.directory.parent, _measured_until(request), request.seed), []).append(request)
    groups: dict[tuple[Path, int, frozenset[float]], list[RunRequest]] = {}
    for (experiment, start, _), runs in by_seed.items():
        groups.setdefault((experiment, start, frozenset(run.init_scale for run in runs)), []).extend(runs)
    return [(start, group) for (_, start, _), group in groups.items()]


def _analyze(
    runs: Sequence[RunRequest], plan: RollingPlan, epochs: tuple[int, int], progress: Progress
) -> AnalysisReport | None:
    """Measures runs of one experiment at the epochs from the first to the last given, if there are checkpoints."""
    start, end = epochs
    if not any(start <= epoch <= end for run in runs for epoch in find_checkpoints(run.directory)):
        return None
    conditions: Mapping[str, Iterable[Any]] = {
        names.SEED: dict.fromkeys(run.seed for run in runs),
        names.INIT_SCALE: dict.fromkeys(run.init_scale for run in runs),
    }
    request = replace(
        plan.request,
        checkpoints=runs[0].directory.parent,
        where=[f"{key}={','.join(map(json.dumps, values))}" for key, values in conditions.items()],
        epochs=f"{start}-{end}",
    )
    return analysis.carry_out(request, SerialExecutor(), progress)


def _delete_measured(requests: Sequence[RunRequest], measured: int, reach: int) -> None:
    """Deletes the checkpoints up to an epoch, but the first, the last, and those that the next measures look at."""
    for request in requests:  # all of them first: neighbours of a deleted checkpoint must not be measured again
        manifest = read_manifest(request.directory)
        if manifest.measured_until < measured:
            write_manifest(request.directory, manifest.model_copy(update={"measured_until": measured}))
    for request in requests:
        present = find_checkpoints(request.directory)
        done = [epoch for epoch in present if epoch <= measured]
        kept = {0, present[-1], *done[len(done) - max(reach, 1) :]} if present else set()
        delete_checkpoints(request.directory, [epoch for epoch in done if epoch not in kept])


def _merge(before: TrainReport, after: TrainReport) -> TrainReport:
    return TrainReport(runs=tuple(map(_merge_run, before.runs, after.runs)))


def _merge_run(before: RunReport, after: RunReport) -> RunReport:
    outcome = before.outcome if after.outcome == "resumed" else after.outcome
    return replace(after, outcome=outcome, epochs_trained=before.epochs_trained + after.epochs_trained)
