"""Sweeps: a run for each seed and each init_scale of a recipe."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from grokprobe.interfaces import Samples, Task
from grokprobe.progress import Progress
from grokprobe.training.batch import Batch, RunReport, RunRequest, TrainReport
from grokprobe.training.loop import CheckpointListener, train_batch
from grokprobe.training.recipe import Recipe
from grokprobe.training.run_directory import locked_run, open_run


def run_directory_name(seed: int, init_scale: float) -> str:
    """Returns the name of a run's directory; different runs of a sweep have different names.

    Example:
        >>> assert run_directory_name(0, 10.0) == "seed-0_init_scale-10"
    """
    return f"seed-{seed}_init_scale-{np.format_float_positional(init_scale, trim='-')}"


def plan_runs(
    recipe: Recipe, out_directory: Path, *, experiment_name: str, recipe_name: str | None, device: str = "cpu"
) -> tuple[RunRequest, ...]:
    """Returns a request for each run of an experiment, in ``out_directory/experiment_name``; writes nothing."""
    return tuple(
        RunRequest(
            recipe=recipe,
            recipe_name=recipe_name,
            directory=out_directory / experiment_name / run_directory_name(seed, init_scale),
            seed=seed,
            init_scale=init_scale,
            device=device,
        )
        for seed, init_scale in recipe.members()
    )


def register(batches: Iterable[Batch]) -> None:
    """Writes the manifest of every run of a sweep, so that whoever continues it computes it in the same batches.

    Raises:
        UsageError: a run directory holds something else, or a run that this schedule cannot continue.
        CorruptCheckpointError: a manifest, history or resume state cannot be read.
        StoreError: another process is training in a run directory.
    """
    for batch in batches:
        for request in batch.requests:
            with locked_run(request.directory):
                open_run(request.directory, request.manifest(batch.plan()), request.recipe.schedule)


def train_sweep(
    batches: Sequence[Batch],
    task: Task,
    population: Samples,
    progress: Progress,
    on_checkpoint: CheckpointListener | None = None,
) -> TrainReport:
    """Trains every run of a sweep, one batch after the other, each run from where its directory stands.

    Given again after it was interrupted, it continues; runs that are complete are skipped, and runs that diverged are
    reported and not trained again. A run that diverges does not stop the others.

    Args:
        batches: from :func:`~grokprobe.training.plan.plan_batches`.
        task: the task of all of them, with its options bound.
        population: the task's population.
        progress: counts epochs over all runs.
        on_checkpoint: told of every checkpoint.

    Raises:
        UsageError: a run directory holds something else, or a run that this schedule cannot continue.
        CorruptCheckpointError: a file that is needed to resume cannot be read.
        StoreError: another process is training in a run directory.
    """
    with training_progress(batches, progress):
        reports = [train_batch(batch, task, population, progress, on_checkpoint) for batch in batches]
        return assemble_report(batches, reports)


@contextlib.contextmanager
def training_progress(batches: Sequence[Batch], progress: Progress) -> Iterator[None]:
    """Starts and ends progress in epochs over all runs."""
    requests = [request for batch in batches for request in batch.requests]
    widths = sorted({len(batch.members) for batch in batches})
    together = f", {'-'.join(map(str, widths))} at once" if widths[-1] > 1 else ""
    progress.start(f"training {len(requests)} runs{together}", len(requests) * requests[0].recipe.schedule.epochs)
    try:
        yield
    finally:
        progress.finish()


def assemble_report(batches: Sequence[Batch], reports: Iterable[Sequence[RunReport]]) -> TrainReport:
    """Returns the reports of all batches, experiment after experiment, in the order of the recipe's members."""
    members = batches[0].requests[0].recipe.members()
    experiments = list(dict.fromkeys(request.directory.parent for batch in batches for request in batch.requests))

    def place(run: RunReport) -> tuple[int, int]:
        return experiments.index(run.directory.parent), members.index((run.seed, run.init_scale))

    return TrainReport(runs=tuple(sorted((report for batch in reports for report in batch), key=place)))
