"""Places of runs in an experiment: their seed, init_scale and split, which are asked for, and that no two share one."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt

from grokprobe import names
from grokprobe.checkpoints import Run
from grokprobe.errors import UsageError
from grokprobe.faults import validate_options
from grokprobe.settings import meets

TASK: Final = "task"
RUN: Final = "run"

Tables = Mapping[str, Mapping[str, Any]]


def flatten(tables: Tables) -> dict[str, Any]:
    """Returns nested tables as one table of dotted keys."""
    return {f"{table}.{key}": value for table, content in tables.items() for key, value in content.items()}


class RunDirectives(BaseModel):
    """What ``--set run.…`` says of every run; of one written by ``grokprobe train`` only the reference counts."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Seed of the runs.
    seed: NonNegativeInt | None = None
    #: Initialisation scale of the runs.
    init_scale: Annotated[FiniteFloat, Field(gt=0)] | None = None
    #: Key of the state dict inside a checkpoint file.
    state_dict: str | None = None
    #: A checkpoint file, or a run whose last checkpoint is meant, that measures may compare with.
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A run at its place in an experiment."""

    #: The run as found.
    run: Run
    #: Its seed.
    seed: int
    #: Its initialisation scale.
    init_scale: float
    #: ``seed:N``, ``all``, ``indices:FILE`` or ``stored:FILE``; None where the split is unknown.
    split: str | None

    def selectable(self, parameters: Tables) -> dict[str, Any]:
        """Returns what ``--where`` can ask for: coordinates, parameters with and without their table, task, recipe."""
        dotted = flatten(parameters)
        short = {key.partition(".")[2]: value for key, value in dotted.items() if not key.endswith(".name")}
        own = {names.SEED: self.seed, names.INIT_SCALE: self.init_scale, "directory": self.run.path.name}
        if self.run.recipe is not None:
            own["recipe"] = self.run.recipe
        if f"{TASK}.name" in dotted:
            own[TASK] = dotted[f"{TASK}.name"]
        return {**short, **dotted, **own}


class SeedNumbers:
    """Numbers for runs whose seed nobody says, in order of their path; a number once given is kept."""

    def __init__(self, known: Mapping[str, int]) -> None:
        """Starts from the numbers that a store remembers.

        Args:
            known: ``experiment digest, init_scale, path`` → number, as from :attr:`given`.
        """
        #: What there is to remember.
        self.given = dict(known)

    def number(self, digest: str, init_scale: float, path: Path) -> int:
        """Returns the number of a run."""
        place = f"{digest} {init_scale!r} "
        key = f"{place}{path.absolute()}"
        if key not in self.given:
            taken = {number for other, number in self.given.items() if other.startswith(place)}
            self.given[key] = next(number for number in itertools.count() if number not in taken)
        return self.given[key]


def place_runs(
    identity: tuple[str, str, Tables], runs: Iterable[Run], settings: Tables, numbers: SeedNumbers
) -> tuple[list[Member], list[str]]:
    """Returns the runs of one experiment at their places, with what a user should know.

    Args:
        identity: name, digest and parameters of the experiment.
        runs: in order of their path.
        settings: parsed ``--set`` tables; runs written by ``grokprobe train`` say everything themselves.
        numbers: for runs whose seed nobody says.
    """
    name, digest, _ = identity
    given = validate_options(RunDirectives, settings.get(RUN, {}), RUN)
    split = settings.get(TASK, {}).get("split")
    is_described = bool(settings.keys() & {TASK, "model"}) or bool(settings.get(RUN, {}).keys() - {"reference"})
    notices, members, numbered = [], [], set()
    for run in runs:
        if run.is_native:
            if is_described:
                notices.append(f"{run.path} was written by grokprobe train and says its own task, model and run")
            seed, init_scale, own_split = run.seed, run.init_scale, run.split
        else:
            seed = run.seed if given.seed is None else given.seed
            init_scale = run.init_scale if given.init_scale is None else given.init_scale
            own_split = run.split if split is None else str(split)
        if init_scale is None:
            notices.append(f"{name}: init_scale is not known and taken as 1.0; say it with --set run.init_scale=…")
            init_scale = 1.0
        if seed is None:
            seed = numbers.number(digest, init_scale, run.path)
            numbered.add(seed)
        members.append(Member(run=run, seed=seed, init_scale=init_scale, split=own_split))
    if len(numbered) > 1:
        notices.append(f"{name}: no seed is known, so runs are numbered in order of their path; say it in --layout")
    return members, notices


def select_members(
    members: Iterable[Member], parameters: Tables, conditions: Mapping[str, tuple[Any, ...]]
) -> list[Member]:
    """Returns the members that meet every condition of ``--where``."""
    return [member for member in members if meets(conditions, member.selectable(parameters))]


def refuse_collisions(name: str, members: Iterable[Member]) -> None:
    """Raises unless every run has a place of its own.

    Raises:
        UsageError: two runs on one (seed, init_scale).
    """
    holders: dict[tuple[int, float], Run] = {}
    for member in members:
        other = holders.setdefault((member.seed, member.init_scale), member.run)
        if other is member.run:
            continue
        remedy = (
            "remove the copy, analyze one directory, or select with --where recipe=… or directory=…"
            if member.run.is_native
            else "tell them apart by fields of --layout, or select with --where directory=…"
        )
        raise UsageError(
            f"{name}: two runs on seed {member.seed}, init_scale {member.init_scale:g}:"
            f" {other.path} and {member.run.path}; {remedy}"
        )
