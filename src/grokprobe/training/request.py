"""The verb ``train``: a recipe by name or file, with a user's overrides."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from grokprobe.devices import find_device
from grokprobe.errors import RecipeError, UsageError, reporting_write_errors
from grokprobe.experiments import experiment_name
from grokprobe.faults import suggest
from grokprobe.plugins import TASKS, Plugins, PluginSelection, load_plugins
from grokprobe.progress import Progress, SilentProgress
from grokprobe.settings import parse_assignment
from grokprobe.training.batch import TrainReport
from grokprobe.training.plan import plan_batches
from grokprobe.training.recipe import Recipe, load_recipe
from grokprobe.training.sweep import plan_runs, register, train_sweep
from grokprobe.training.workers import train_in_processes

RECIPE_SUFFIX: Final = ".toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What to train and where. Every field but the first has a default."""

    #: A TOML file, or the name of a built-in recipe such as ``modular_addition/paper``.
    recipe: str | Path
    #: Parent of the experiment's directory.
    out: str | Path = "checkpoints"
    #: Seeds such as ``0-4,7``; None for the recipe's.
    seeds: str | None = None
    #: Initialisation scales; None for the recipe's.
    init_scales: Sequence[float] | None = None
    #: Epochs; None for the recipe's.
    epochs: int | None = None
    #: ``TABLE.KEY=VALUE`` assignments.
    settings: Sequence[str] = ()
    #: ``auto``, or a torch device.
    device: str = "auto"
    #: Processes; None for one a core on a CPU and one on a GPU, at most one a batch. No file depends on it.
    jobs: int | None = None
    #: Largest number of runs computed together, 1 for one at a time; None to choose by measuring.
    members_per_batch: int | None = None
    #: Which plugins to load.
    plugins: PluginSelection = field(default_factory=PluginSelection.from_environment)

    def __post_init__(self) -> None:
        """Raises a UsageError for a number of jobs or members below 1."""
        for name in ("jobs", "members_per_batch"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise UsageError(f"{name}: expected at least 1, found {number}")

    def overrides(self) -> dict[str, Any]:
        """Returns what replaces the recipe's own values, by dotted key."""
        given = {
            "sweep.seeds": self.seeds,
            "sweep.init_scales": None if self.init_scales is None else list(self.init_scales),
            "schedule.epochs": self.epochs,
        }
        assignments = dict(parse_assignment(setting) for setting in self.settings)
        return assignments | {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """A validated recipe and where its runs go."""

    #: The recipe, overrides included.
    recipe: Recipe
    #: Its name, as long as task, model and optimizer are the recipe's own; else None.
    recipe_name: str | None
    #: Name of the experiment, and of its directory.
    experiment: str
    #: What was loaded.
    plugins: Plugins


def train(recipe: str | Path, *, progress: Progress | None = None, **options: Any) -> TrainReport:
    """Trains the sweep of a recipe; continues where an earlier call with the same request stopped.

    Args:
        recipe: a TOML file, or the name of a built-in recipe.
        progress: listener.
        **options: fields of :class:`TrainRequest`.

    Raises:
        UsageError: an unknown recipe or option, or a run directory that holds something else.
        RecipeError: the recipe does not validate; the message lists every fault.
    """
    known = [own.name for own in fields(TrainRequest)]
    if unknown := sorted(set(options) - set(known)):
        raise UsageError(f"train: expected options among {', '.join(known)}, found {unknown[0]!r}")
    request = TrainRequest(recipe=recipe, **options)
    return carry_out(request, plan_training(request), progress or SilentProgress())


def plan_training(request: TrainRequest) -> TrainPlan:
    """Validates a request; writes nothing.

    Raises:
        UsageError: an unknown recipe.
        RecipeError: the recipe does not validate.
    """
    plugins = load_plugins(request.plugins)
    text, name = _read(str(request.recipe), plugins)
    overrides = request.overrides()
    recipe = load_recipe(text, str(request.recipe), plugins.find_task, overrides)
    is_own = not _changes_experiment(overrides) or (
        load_recipe(text, str(request.recipe), plugins.find_task).parameters() == recipe.parameters()
    )
    recipe_name = name if is_own else None
    task_class = plugins.find_task(recipe.task_name)
    return TrainPlan(
        recipe=recipe,
        recipe_name=recipe_name,
        experiment=experiment_name(recipe_name, task_class, recipe.parameters()),
        plugins=plugins,
    )


def carry_out(request: TrainRequest, plan: TrainPlan, progress: Progress) -> TrainReport:
    """Trains what was planned."""
    device = find_device(request.device)
    requests = plan_runs(
        plan.recipe, Path(request.out), experiment_name=plan.experiment, recipe_name=plan.recipe_name, device=device
    )
    task = plan.recipe.build_task(plan.plugins.find_task)
    population = task.population(progress)
    num_cores = _count_cores() if device == "cpu" else 1
    batches = plan_batches(requests, task, population, num_cores=num_cores, members_per_batch=request.members_per_batch)
    num_processes = min(request.jobs or num_cores, len(batches))
    with reporting_write_errors(Path(request.out)):
        register(batches)
        if num_processes == 1:
            return train_sweep(batches, task, population, progress)
        return train_in_processes(batches, population, request.plugins, progress, num_processes)


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else (os.cpu_count() or 1)


def _changes_experiment(overrides: Mapping[str, Any]) -> bool:
    return any(key.partition(".")[0] in ("task", "model", "optimizer") for key in overrides)


def _read(recipe: str, plugins: Plugins) -> tuple[str, str]:
    """Returns the text of a recipe and its name."""
    if recipe.endswith(RECIPE_SUFFIX):
        path = Path(recipe)
        try:
            return path.read_text(), path.stem
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"expected a recipe at {path}, but it cannot be read: {error}") from error
    task_name, _, short_name = recipe.partition("/")
    known = built_in_recipes(plugins)
    if recipe not in known:
        raise UsageError(f"unknown recipe {recipe!r}{suggest(recipe, known)} A recipe file ends in {RECIPE_SUFFIX}")
    return plugins.find_task(task_name).recipes[short_name], recipe


def built_in_recipes(plugins: Plugins) -> list[str]:
    """Returns the names of all built-in recipes, sorted."""
    return sorted(
        f"{entry.name}/{recipe}" for entry in plugins.provided if entry.kind == TASKS for recipe in entry.item.recipes
    )
