"""A sweep of modular addition that trains in a moment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grokprobe.errors import UsageError
from grokprobe.interfaces import Task
from grokprobe.progress import Progress, SilentProgress
from grokprobe.training.loop import CheckpointListener
from grokprobe.training.recipe import Recipe, load_recipe
from grokprobe.training.sweep import TrainReport, plan_runs, train_sweep
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


def train_small(
    directory: Path,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    on_checkpoint: CheckpointListener | None = None,
) -> TrainReport:
    requests = plan_runs(load_small(overrides), directory, experiment_name="small", recipe_name="small")
    return train_sweep(requests, find_task, progress or SilentProgress(), on_checkpoint)


def read_files(directory: Path) -> dict[str, bytes]:
    """Returns the content of every file below ``directory`` by its path."""
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }
