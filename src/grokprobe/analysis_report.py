"""What ``analyze`` did, for people and programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grokprobe import names
from grokprobe.checkpoints import Discovery, SkippedFile
from grokprobe.experiment_plan import ExperimentPlan
from grokprobe.markup import render_block, shorten_path
from grokprobe.status import Status
from grokprobe.units import Failure, Receipt, describe


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentReport:
    """What was done for one experiment."""

    #: Its name in the store.
    name: str
    #: Number of runs, and of distinct epochs.
    num_runs: int
    num_epochs: int
    #: Measure group → (results asked for, results measured now (in a dry run: to measure)).
    measured: Mapping[str, tuple[int, int]]
    #: Measure group → why it does not apply to some or all runs.
    not_applicable: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisReport:
    """What ``analyze`` did and what a user should know."""

    #: Where the dataset is: a path, or the URL that was asked for.
    results: str | Path
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

    def _repr_html_(self) -> str:
        rows = [(one.name, group, *counts) for one in self.experiments for group, counts in one.measured.items()]
        absent = [
            f"{one.name}, {group}: does not apply here: {reason}"
            for one in self.experiments
            for group, reason in one.not_applicable.items()
        ]
        failed = [f"failed: {failure.where}: {failure.reason}" for failure in self.failures]
        skipped = [f"not a checkpoint: {shorten_path(file.path)}: {file.reason}" for file in self.skipped]
        return render_block(
            f"Results in {self.results}",
            header=("experiment", "group", "results", "measured now"),
            rows=rows,
            lines=[*failed, *absent, *self.notices, *skipped],
        )


def build_report(
    results: Path, discovery: Discovery, remarks: Sequence[str], done: Sequence[tuple[ExperimentPlan, Receipt | None]]
) -> AnalysisReport:
    """Returns what was done, or with receipts of None what would be done.

    Args:
        results: the store.
        discovery: what was found.
        remarks: notices from grouping the runs.
        done: every plan with its receipt.
    """
    failures = [
        Failure(where=str(file.path), reason=file.reason) for file in (*discovery.refused, *discovery.unreadable)
    ]
    notices = [*discovery.warnings, *remarks]
    for plan, receipt in done:
        notices += [*plan.notices, *plan.applications.notices]
        failures += [Failure(where=plan.group(g), reason=reason) for g, reason in plan.applications.faults.items()]
        failures += [*(receipt.failures if receipt is not None else ()), *_failed_before(plan)]
    return AnalysisReport(
        results=results,
        experiments=tuple(_experiment_report(plan, receipt) for plan, receipt in done),
        notices=tuple(dict.fromkeys(notices)),
        skipped=discovery.skipped,
        failures=tuple(failures),
    )


def _failed_before(plan: ExperimentPlan) -> list[Failure]:
    failed = []
    for coordinate in plan.wanted:
        entry = plan.entries.get(coordinate)
        if coordinate in plan.todo or entry is None or entry.status not in (Status.FAILED, Status.REFUSED):
            continue
        failed.append(
            Failure(where=describe(coordinate), reason=f"{entry.error} (failed before; --retry-failed tries again)")
        )
    return failed


def _experiment_report(plan: ExperimentPlan, receipt: Receipt | None) -> ExperimentReport:
    measured = {}
    for group in plan.measures:
        asked = [coordinate for coordinate in plan.wanted if coordinate.group == plan.group(group)]
        num_new = len(plan.todo.intersection(asked)) if receipt is None else receipt.num_measured.get(group, 0)
        measured[group] = (len(asked), num_new)
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
