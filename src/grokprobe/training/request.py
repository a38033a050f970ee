"""The verb ``train``: a recipe by name or file, with a user's overrides."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
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
from grokprobe.training.rolling import RollingAnalysis, RollingPlan, plan_rolling, train_and_analyze
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
    #: What to measure during training, so that its checkpoints need not be kept; None to keep them.
    analysis: RollingAnalysis | None = None
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
class PlannedExperiment:
    """The runs of one learning rate and weight decay."""

    #: The recipe, overrides included; its sweep has seeds and scales only.
    recipe: Recipe
    #: Name of the recipe as it was given, as long as task, model and optimizer are its own; else None.
    recipe_name: str | None
    #: Name of the experiment, and of its directory.
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """A validated recipe and where its runs go."""

    #: One for each learning rate and weight decay of the sweep.
    experiments: tuple[PlannedExperiment, ...]
    #: What was loaded.
    plugins: Plugins
    #: What is measured during training, if anything.
    rolling: RollingPlan | None = None


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
    recipe = load_recipe(text, str(request.recipe), plugins.find_task, request.overrides())
    task_class = plugins.find_task(recipe.task_name)
    own = _read_own_parameters(text, str(request.recipe), plugins)
    experiments = []
    for variant in recipe.variants():
        recipe_name = name if variant.parameters() == own else None
        experiment = experiment_name(recipe_name, task_class, variant.parameters())
        experiments.append(PlannedExperiment(recipe=variant, recipe_name=recipe_name, name=experiment))
    rolling = None
    if request.analysis is not None:
        rolling = plan_rolling(request.analysis, plugins, request.plugins, request.device)
    return TrainPlan(experiments=tuple(experiments), plugins=plugins, rolling=rolling)


def carry_out(request: TrainRequest, plan: TrainPlan, progress: Progress) -> TrainReport:
    """Trains what was planned, and measures it on the way where that is asked for."""
    device = find_device(request.device)
    requests = [
        run
        for one in plan.experiments
        for run in plan_runs(
            one.recipe, Path(request.out), experiment_name=one.name, recipe_name=one.recipe_name, device=device
        )
    ]
    task = plan.experiments[0].recipe.build_task(plan.plugins.find_task)
    population = task.population(progress)
    num_cores = _count_cores() if device == "cpu" else 1
    batches = plan_batches(requests, task, population, num_cores=num_cores, members_per_batch=request.members_per_batch)
    num_processes = min(request.jobs or num_cores, len(batches))

    def train_until(epoch: int | None) -> TrainReport:
        paused = [
            replace(batch, requests=tuple(replace(run, pause_at=epoch) for run in batch.requests)) for batch in batches
        ]
        if num_processes == 1:
            return train_sweep(paused, task, population, progress)
        return train_in_processes(paused, population, request.plugins, progress, num_processes)

    with reporting_write_errors(Path(request.out)):
        register(batches)
        if plan.rolling is None:
            return train_until(None)
        report, analyses = train_and_analyze(train_until, requests, plan.rolling, progress)
        return replace(report, analyses=analyses)


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else (os.cpu_count() or 1)


def _read_own_parameters(text: str, source: str, plugins: Plugins) -> dict[str, dict[str, Any]] | None:
    """Returns what identifies the experiment of a recipe as it stands; None where it is no recipe without overrides."""
    try:
        return load_recipe(text, source, plugins.find_task).parameters()
    except RecipeError:
        return None


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
