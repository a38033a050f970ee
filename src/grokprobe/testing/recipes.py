"""The recipes a Task brings along."""

import tomllib
from typing import Any

from pydantic import BaseModel

from grokprobe.faults import validate_table
from grokprobe.interfaces import Task
from grokprobe.testing.conformance import ConformanceError, require


def check_recipes(task: Task) -> None:
    """Checks that every recipe of ``task`` is TOML for this task, with ``[task]`` and ``[model]`` tables that validate.

    Raises:
        ConformanceError: one is not.
    """
    require(bool(task.name) and task.name.isidentifier(), "name is an identifier", repr(task.name))
    reserved = sorted({"name", "split", "map"} & set(task.task_options.model_fields))
    require(not reserved, "no task option is called name, split or map", ", ".join(reserved))
    require(task.default_recipe in task.recipes, "default_recipe is one of recipes", repr(task.default_recipe))
    for name, text in task.recipes.items():
        label = f"{task.name}/{name}"
        tables = _parse(label, text)
        own = dict(tables.get("task", {}))
        found = own.pop("name", None)
        require(found == task.name, "a recipe names its task in [task]", f"{label} has {found!r}")
        _validate(f"{label}: task", task.task_options, own)
        _validate(f"{label}: model", task.model_options, tables.get("model", {}))


def _parse(label: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConformanceError(f"recipes are TOML: {label}: {error}") from error


def _validate(label: str, model: type[BaseModel], table: dict[str, Any]) -> None:
    faults: list[str] = []
    if validate_table(model, table, label, faults) is None:
        raise ConformanceError(f"recipes validate: {'; '.join(faults)}")
