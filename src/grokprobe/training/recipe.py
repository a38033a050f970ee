"""Recipes: what to train, checked before anything runs.

A recipe is a TOML text with the tables ``task``, ``model``, ``optimizer``, ``sweep`` and ``schedule``. A table or key
that it does not give takes its value from the default recipe of its task.
"""

import copy
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from grokprobe.errors import RecipeError, UsageError
from grokprobe.faults import build_recipe_error, suggest, validate_table
from grokprobe.interfaces import Task
from grokprobe.training.tables import OptimizerTable, ScheduleTable, SweepTable

TABLES: Final = ("task", "model", "optimizer", "sweep", "schedule")

#: Returns the task class of a name, or raises a UsageError that says which names there are.
FindTask = Callable[[str], type[Task]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A complete, valid recipe. It is plain data: it can be pickled and sent to another process."""

    #: Name of the task.
    task_name: str
    #: The task's own options, defaults included, as JSON values.
    task_options: Mapping[str, Any]
    #: The network's options, defaults included, as JSON values.
    model_options: Mapping[str, Any]
    optimizer: OptimizerTable
    sweep: SweepTable
    schedule: ScheduleTable

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Returns what identifies the experiment: the full tables ``task``, ``model`` and ``optimizer``."""
        return {
            "task": {"name": self.task_name, **copy.deepcopy(dict(self.task_options))},
            "model": copy.deepcopy(dict(self.model_options)),
            "optimizer": self.optimizer.model_dump(mode="json"),
        }

    def members(self) -> tuple[tuple[int, float], ...]:
        """Returns the (seed, init_scale) of every run of an experiment, all scales of the first seed first."""
        return tuple((seed, scale) for seed in self.sweep.seeds for scale in self.sweep.init_scales)

    def variants(self) -> tuple["Recipe", ...]:
        """Returns a recipe for each learning rate and weight decay of the sweep: one for each experiment."""
        sweep = self.sweep.model_copy(update={"lr": (), "weight_decay": ()})
        optimizers = (
            self.optimizer.model_copy(update={"lr": lr, "weight_decay": weight_decay})
            for lr in self.sweep.lr or (self.optimizer.lr,)
            for weight_decay in self.sweep.weight_decay or (self.optimizer.weight_decay,)
        )
        return tuple(replace(self, optimizer=optimizer, sweep=sweep) for optimizer in optimizers)

    def build_task(self, find_task: FindTask) -> Task:
        """Returns the task with its options bound."""
        task_class = find_task(self.task_name)
        return task_class(
            task_class.task_options.model_validate_json(json.dumps(self.task_options)),
            task_class.model_options.model_validate_json(json.dumps(self.model_options)),
        )


def load_recipe(text: str, source: str, find_task: FindTask, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Reads and checks a recipe.

    Args:
        text: the TOML text.
        source: what to call it in messages: a path or the name of a built-in recipe.
        find_task: finds a task class by name.
        overrides: values that replace the recipe's, by dotted key such as ``"optimizer.lr"``.

    Raises:
        RecipeError: the text is no TOML (with line and column), or anything in it does not validate; the message lists
            every fault with its path, the value found and what was expected.
    """
    tables, faults = _read_tables(text, source)
    _apply_overrides(tables, overrides or {}, faults)
    task_class = _find_task_class(tables["task"], find_task, faults)
    if task_class is not None:
        tables = _with_defaults(tables, task_class)
    recipe = _validate(tables, task_class, faults)
    if recipe is None or faults:
        raise build_recipe_error(source, faults)
    return recipe


def _read_tables(text: str, source: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{source}: expected TOML, found a syntax error: {error}") from error
    faults = [f"{key}: unknown table{suggest(key, TABLES)}" for key in raw if key not in TABLES]
    faults += [
        f"{key}: expected a table, found {raw[key]!r}" for key in TABLES if not isinstance(raw.get(key, {}), dict)
    ]
    return {key: raw[key] if isinstance(raw.get(key), dict) else {} for key in TABLES}, faults


def _apply_overrides(tables: dict[str, dict[str, Any]], overrides: Mapping[str, Any], faults: list[str]) -> None:
    for key, value in overrides.items():
        table, *inner = key.split(".")
        if table not in TABLES:
            faults.append(f"{key}: unknown table {table!r} in an override{suggest(table, TABLES)}")
            continue
        if not inner:
            faults.append(f"{key}: expected an override of one value such as {key}.NAME, found the table")
            continue
        _set_value(tables[table], inner, value, key, faults)


def _set_value(table: dict[str, Any], path: list[str], value: Any, key: str, faults: list[str]) -> None:
    for name in path[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            faults.append(f"{key}: expected a table at {name!r}, found {table!r}")
            return
    table[path[-1]] = value


def _find_task_class(table: Mapping[str, Any], find_task: FindTask, faults: list[str]) -> type[Task] | None:
    name = table.get("name")
    if not isinstance(name, str):
        found = "none" if name is None else repr(name)
        faults.append(f"task.name: expected the name of a task, found {found}")
        return None
    try:
        return find_task(name)
    except UsageError as error:
        faults.append(f"task.name: {error}")
        return None


def _with_defaults(tables: Mapping[str, dict[str, Any]], task_class: type[Task]) -> dict[str, dict[str, Any]]:
    defaults = tomllib.loads(task_class.recipes[task_class.default_recipe])
    return {key: {**defaults.get(key, {}), **tables[key]} for key in TABLES}


def _validate(tables: Mapping[str, dict[str, Any]], task_class: type[Task] | None, faults: list[str]) -> Recipe | None:
    # Without a task there are no defaults, so that a value that is not given is no fault.
    is_partial = task_class is None
    optimizer = validate_table(OptimizerTable, tables["optimizer"], "optimizer", faults, is_partial)
    sweep = validate_table(SweepTable, tables["sweep"], "sweep", faults, is_partial)
    schedule = validate_table(ScheduleTable, tables["schedule"], "schedule", faults, is_partial)
    if task_class is None:
        return None
    own_options = {key: value for key, value in tables["task"].items() if key != "name"}
    task_options = validate_table(task_class.task_options, own_options, "task", faults)
    model_options = validate_table(task_class.model_options, tables["model"], "model", faults)
    if not (optimizer and sweep and schedule and task_options and model_options):
        return None
    return Recipe(
        task_name=tables["task"]["name"],
        task_options=task_options.model_dump(mode="json"),
        model_options=model_options.model_dump(mode="json"),
        optimizer=optimizer,
        sweep=sweep,
        schedule=schedule,
    )
