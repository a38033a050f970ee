"""A sweep of modular addition that trains in a moment."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from grokprobe.errors import UsageError
from grokprobe.interfaces import Samples, Task
from grokprobe.progress import Progress, SilentProgress
from grokprobe.training.batch import Batch, TrainReport
from grokprobe.training.loop import CheckpointListener
from grokprobe.training.plan import plan_batches
from grokprobe.training.recipe import FindTask, Recipe, load_recipe
from grokprobe.training.sweep import plan_runs, train_sweep
from grokprobe_tasks.modular_addition import ModularAddition

TEXT = """
[task]
name = "modular_addition"
p = 5
[model]
hidden = 8
[optimizer]
lr = 0.01
batch_size = 7
[sweep]
seeds = "0"
init_scales = [1.0, 3.0]
[schedule]
epochs = 3
checkpoints = ["every 1"]
history = "every 1"
"""


def find_task(name: str) -> type[Task]:
    if name != ModularAddition.name:
        raise UsageError(f"unknown task {name!r}")
    return ModularAddition


def load_small(overrides: Mapping[str, Any] | None = None) -> Recipe:
    return load_recipe(TEXT, "small.toml", find_task, overrides)


def draw_population() -> Samples:
    return load_small().build_task(find_task).population(SilentProgress())


def name_experiment(recipe: Recipe, num_experiments: int) -> str:
    optimizer = recipe.optimizer
    return "small" if num_experiments == 1 else f"small-lr={optimizer.lr}-wd={optimizer.weight_decay}"


def plan_small(
    directory: Path,
    overrides: Mapping[str, Any] | None = None,
    members_per_batch: int | None = 1,
    find: FindTask = find_task,
    resume_seconds: float = 0.0,
) -> tuple[Batch, ...]:
    """Plans runs that write a state to resume from at every epoch that they look at."""
    variants = load_small(overrides).variants()
    requests = [
        replace(request, resume_seconds=resume_seconds)
        for recipe in variants
        for request in plan_runs(
            recipe, directory, experiment_name=name_experiment(recipe, len(variants)), recipe_name="small"
        )
    ]
    task = requests[0].recipe.build_task(find)
    population = task.population(SilentProgress())
    return plan_batches(requests, task, population, num_cores=1, members_per_batch=members_per_batch)


def train_small(
    directory: Path,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    on_checkpoint: CheckpointListener | None = None,
    members_per_batch: int | None = 1,
    find: FindTask = find_task,
    resume_seconds: float = 0.0,
) -> TrainReport:
    batches = plan_small(directory, overrides, members_per_batch, find, resume_seconds)
    task = load_small(overrides).build_task(find)
    population = task.population(SilentProgress())
    return train_sweep(batches, task, population, progress or SilentProgress(), on_checkpoint)


def read_files(directory: Path) -> dict[str, bytes]:
    """Returns the content of every file below ``directory`` by its path."""
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }
