"""Sweeps: a run for each seed and each init_scale of a recipe."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grokprobe.progress import Progress
from grokprobe.training.loop import CheckpointListener, RunReport, RunRequest, train_run
from grokprobe.training.recipe import FindTask, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What became of a sweep."""

    #: One report a run, in the order of :meth:`~grokprobe.training.recipe.Recipe.members`.
    runs: tuple[RunReport, ...]

    @property
    def directories(self) -> tuple[Path, ...]:
        """The run directories."""
        return tuple(run.directory for run in self.runs)

    @property
    def diverged(self) -> tuple[RunReport, ...]:
        """The runs whose loss stopped being finite, now or before."""
        return tuple(run for run in self.runs if run.outcome == "diverged")

    @property
    def epochs_trained(self) -> int:
        """Epochs trained this time, over all runs."""
        return sum(run.epochs_trained for run in self.runs)


def run_directory_name(seed: int, init_scale: float) -> str:
    """Returns the name of a run's directory; different runs of a sweep have different names.

    Example:
        >>> assert run_directory_name(0, 10.0) == "seed-0_init_scale-10"
    """
    return f"seed-{seed}_init_scale-{np.format_float_positional(init_scale, trim='-')}"


def plan_runs(
    recipe: Recipe, out_directory: Path, *, experiment_name: str, recipe_name: str | None, device: str = "cpu"
) -> tuple[RunRequest, ...]:
    """Returns a request for each run of the sweep, in ``out_directory/experiment_name``; writes nothing."""
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


def train_sweep(
    requests: Sequence[RunRequest],
    find_task: FindTask,
    progress: Progress,
    on_checkpoint: CheckpointListener | None = None,
) -> TrainReport:
    """Trains every run of a sweep, one after the other, each from where its directory stands.

    Given again after it was interrupted, it continues; runs that are complete are skipped, and runs that diverged are
    reported and not trained again. A run that diverges does not stop the others.

    Args:
        requests: from :func:`plan_runs`.
        find_task: finds a task class by name.
        progress: counts epochs over all runs.
        on_checkpoint: told of every checkpoint.

    Raises:
        UsageError: a run directory holds something else, or a run that this schedule cannot continue.
        CorruptCheckpointError: a file that is needed to resume cannot be read.
        StoreError: another process is training in a run directory.
    """
    recipe = requests[0].recipe
    task = recipe.build_task(find_task)
    population = task.population(progress)
    progress.start("training", len(requests) * recipe.schedule.epochs)
    try:
        return TrainReport(
            runs=tuple(train_run(request, task, population, progress, on_checkpoint) for request in requests)
        )
    finally:
        progress.finish()
