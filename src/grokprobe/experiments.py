"""Experiments: the runs that differ only in seed, init_scale and epoch.

An experiment is identified by the digest of its full parameter set; its name is for people.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from grokprobe.checkpoints import Run
from grokprobe.errors import UsageError
from grokprobe.faults import suggest, validate_options
from grokprobe.interfaces import Task
from grokprobe.placing import (
    RUN,
    TASK,
    Member,
    SeedNumbers,
    Tables,
    flatten,
    place_runs,
    refuse_collisions,
    select_members,
)

MODEL: Final = "model"
OPTIMIZER: Final = "optimizer"
#: Keys of ``--set task.…`` that are no parameters of the task.
TASK_DIRECTIVES: Final = ("split", "map")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Runs side by side over ``(seed, init_scale, epoch)``."""

    #: Name of its group in the store.
    name: str
    #: SHA-256 of its parameter set.
    digest: str
    #: The parameter set: tables ``task``, ``model``, ``optimizer``, ``run``.
    parameters: Tables
    #: The task bound to its parameters, or None.
    task: Task | None
    #: ``epochs`` or ``steps``.
    epoch_units: str
    #: The runs, by seed and init_scale.
    members: tuple[Member, ...]

    @property
    def is_native(self) -> bool:
        """Whether every run was written by ``grokprobe train``."""
        return all(member.run.is_native for member in self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """How to tell which experiment a run belongs to."""

    #: Finds a registered Task class for a name found in a file; never runs one.
    find_task: Callable[[str], type[Task]]
    #: Task of checkpoints that do not say theirs, as given by the user.
    given_task: type[Task] | None
    #: Parsed ``--set`` tables.
    settings: Tables
    #: Parsed ``--where`` conditions.
    conditions: Mapping[str, tuple[Any, ...]]
    #: Numbers for runs whose seed nobody says.
    numbers: SeedNumbers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    digest: str
    name: str
    parameters: Tables
    task: Task | None
    epoch_units: str


def group_runs(
    runs: Iterable[Run], identification: Identification, held_names: Mapping[str, str]
) -> tuple[list[Experiment], list[str]]:
    """Sorts runs into experiments; returns them with what a user should know.

    Args:
        runs: as discovered.
        identification: task and settings.
        held_names: names that are taken already → digest of the experiment that holds them.

    Raises:
        UsageError: invalid task parameters, two runs on one (seed, init_scale), or nothing selected.
    """
    identities: dict[str, _Identity] = {}
    members: dict[str, list[Run]] = {}
    notices: list[str] = []
    for run in runs:
        identity, remarks = _identify(run, identification)
        notices.extend(remarks)
        identities.setdefault(identity.digest, identity)
        members.setdefault(identity.digest, []).append(run)
    experiments, keys = [], set()
    taken = dict(held_names)
    for digest, identity in identities.items():
        name = _unique_name(identity, taken)
        taken[name] = digest
        placed, remarks = place_runs(
            (name, digest, identity.parameters), members[digest], identification.settings, identification.numbers
        )
        keys |= {key for member in placed for key in member.selectable(identity.parameters)}
        selected = select_members(placed, identity.parameters, identification.conditions)
        refuse_collisions(name, selected)
        if not selected:
            continue
        notices.extend(remarks)
        experiments.append(
            Experiment(
                name=name,
                digest=digest,
                parameters=identity.parameters,
                task=identity.task,
                epoch_units=identity.epoch_units,
                members=tuple(sorted(selected, key=lambda member: (member.seed, member.init_scale))),
            )
        )
    if not experiments:
        unknown = [key for key in identification.conditions if key not in keys]
        hint = suggest(unknown[0], keys) if unknown else ""
        conditions = ", ".join(f"{key}={value}" for key, value in identification.conditions.items())
        raise UsageError(f"--where {conditions}: selects none of the runs{hint}")
    return experiments, list(dict.fromkeys(notices))


def rename(experiments: list[Experiment], name: str, held_names: Mapping[str, str]) -> list[Experiment]:
    """Gives the one experiment another name.

    Args:
        experiments: one.
        name: the name.
        held_names: names that are taken already → digest of the experiment that holds them.

    Raises:
        UsageError: there are several, or another experiment holds the name.
    """
    if len(experiments) != 1:
        found = ", ".join(experiment.name for experiment in experiments)
        raise UsageError(f"--name: expected one experiment, found {len(experiments)} ({found}); select with --where")
    name = _safe(name)
    if name.startswith(".") or name in ("", "zarr.json"):
        raise UsageError(f"--name: expected a name that can be that of a group, found {name!r}")
    if held_names.get(name, experiments[0].digest) != experiments[0].digest:
        raise UsageError(f"--name {name}: another experiment in the store is called so; choose another name")
    return [replace(experiments[0], name=name)]


def experiment_name(recipe: str | None, task_class: type[Task] | None, parameters: Tables) -> str:
    """Returns the name people see.

    The recipe's with ``/`` as ``-``; else the task's plus, sorted, each parameter that differs from the task's default
    recipe. It depends on these parameters alone, so it never changes when other runs are added.
    """
    if recipe is not None:
        return _safe(recipe.replace("/", "-"))
    default = flatten(default_parameters(task_class)) if task_class is not None else {}
    given = flatten(parameters)
    differing = sorted(
        f"{key.partition('.')[2]}={value}"
        for key, value in given.items()
        if key != f"{TASK}.name" and (key not in default or default[key] != value)
    )
    base = str(given.get(f"{TASK}.name", "checkpoints"))
    return _safe("-".join([base, *differing]))


def default_parameters(task_class: type[Task]) -> dict[str, dict[str, Any]]:
    """Returns task, model and optimizer tables of the task's default recipe, every default filled in."""
    recipe = tomllib.loads(task_class.recipes[task_class.default_recipe])
    own = {key: value for key, value in recipe.get(TASK, {}).items() if key != "name"}
    return {
        TASK: {"name": task_class.name, **validate_options(task_class.task_options, own, TASK).model_dump(mode="json")},
        MODEL: validate_options(task_class.model_options, recipe.get(MODEL, {}), MODEL).model_dump(mode="json"),
        OPTIMIZER: dict(recipe.get(OPTIMIZER, {})),
    }


def _identify(run: Run, identification: Identification) -> tuple[_Identity, list[str]]:
    tables = {name: dict(content) for name, content in run.parameters.items()}
    own_name = tables.get(TASK, {}).get("name")
    task_class, notices = (None if run.is_native else identification.given_task), []
    if own_name is not None:
        try:
            task_class = identification.find_task(str(own_name))
        except UsageError as error:
            if not run.is_native:
                raise
            notices.append(f"{run.path}: {error}; measures that need the task do not apply")
    if not run.is_native:
        notices.extend(_apply_settings(run, tables, identification.settings, task_class))
    task = _bind(task_class, tables) if task_class is not None else None
    tables = {name: content for name, content in tables.items() if content}
    shapes = {} if run.is_native else {name: list(shape) for name, shape in run.shapes.items()}
    key = json.dumps([tables, shapes, run.epoch_units], sort_keys=True, default=str)
    identity = _Identity(
        digest=hashlib.sha256(key.encode()).hexdigest(),
        name=experiment_name(run.recipe, task_class, tables),
        parameters=tables,
        task=task,
        epoch_units=run.epoch_units,
    )
    return identity, notices


def _apply_settings(
    run: Run, tables: dict[str, dict[str, Any]], settings: Tables, task_class: type[Task] | None
) -> list[str]:
    """Completes the tables of a stranger's run in place; returns remarks about contradictions."""
    remarks = []
    if task_class is not None:
        tables.setdefault(TASK, {})["name"] = task_class.name
        homes = {
            **dict.fromkeys(default_parameters(task_class)[OPTIMIZER], OPTIMIZER),
            **dict.fromkeys(task_class.model_options.model_fields, MODEL),
            **dict.fromkeys(task_class.task_options.model_fields, TASK),
        }
        for key in [key for key in tables.get(RUN, {}) if key in homes]:
            tables.setdefault(homes[key], {})[key] = tables[RUN].pop(key)
    for table in (TASK, MODEL):
        for key, value in settings.get(table, {}).items():
            if table == TASK and key in TASK_DIRECTIVES:
                continue
            if table == TASK and key == "name":
                raise UsageError(f"--set task.name={value}: a task is named by --task {value}")
            if tables.get(table, {}).get(key, value) != value:
                remarks.append(f"{run.path} says {key}={tables[table][key]}; --set {table}.{key}={value} is used")
            tables.setdefault(table, {})[key] = value
    if state_dict := settings.get(RUN, {}).get("state_dict"):
        tables.setdefault(RUN, {})["state_dict"] = state_dict  # other weights of the same files: another experiment
    return remarks


def _bind(task_class: type[Task], tables: dict[str, dict[str, Any]]) -> Task:
    defaults = default_parameters(task_class)
    own = {key: value for key, value in {**defaults[TASK], **tables[TASK]}.items() if key != "name"}
    options = validate_options(task_class.task_options, own, TASK)
    tables[TASK] = {"name": task_class.name, **options.model_dump(mode="json")}
    model = validate_options(task_class.model_options, {**defaults[MODEL], **tables.get(MODEL, {})}, MODEL)
    if MODEL in tables:
        tables[MODEL] = model.model_dump(mode="json")
    return task_class(options, model)


def _unique_name(identity: _Identity, taken: Mapping[str, str]) -> str:
    for name, digest in taken.items():
        if digest == identity.digest:
            return name
    return identity.name if identity.name not in taken else f"{identity.name}-{identity.digest[:6]}"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=+@-]", "_", name)
