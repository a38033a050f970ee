"""Runs, and which of them are trained in one computation."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, field_validator

from grokprobe.checkpoints.native import RunManifest
from grokprobe.interfaces import RunCoordinates
from grokprobe.training.recipe import Recipe

#: ``plain``: the network itself, one member after the other. ``stacked``: all members in one computation.
Form = Literal["plain", "stacked"]

Outcome = Literal["trained", "resumed", "skipped", "diverged"]


class BatchPlan(BaseModel):
    """The ``plan`` of a manifest: how a run is computed, and with whom."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    form: Form
    #: Seed and init_scale of every member of the computation, the scales of one seed side by side.
    members: tuple[tuple[NonNegativeInt, Annotated[float, Field(gt=0, allow_inf_nan=False)]], ...]

    @field_validator("members")
    @classmethod
    def _are_seeds_times_scales(cls, members: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
        runs = [tuple(group) for _, group in itertools.groupby(members, key=lambda member: member[0])]
        seeds = [group[0][0] for group in runs]
        if not runs or len(set(members)) < len(members) or len(set(seeds)) < len(seeds):
            raise ValueError("expected different members, those of a seed side by side")
        if len({len(group) for group in runs}) > 1:
            raise ValueError("expected equally many members of every seed")
        return members


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One run to train. It is plain data: it can be pickled and sent to another process."""

    recipe: Recipe
    #: Name of the built-in recipe or stem of the recipe file, for the manifest.
    recipe_name: str | None
    #: The run directory.
    directory: Path
    seed: int
    init_scale: float
    #: Where to compute, as torch names it.
    device: str = "cpu"

    @property
    def member(self) -> RunCoordinates:
        """Its place in the sweep."""
        return RunCoordinates(seed=self.seed, init_scale=self.init_scale)

    def manifest(self, plan: dict[str, Any]) -> RunManifest:
        """Returns the manifest of the run, trained as ``plan`` says."""
        return RunManifest(
            recipe=self.recipe_name,
            parameters=self.recipe.parameters(),
            seed=self.seed,
            init_scale=self.init_scale,
            schedule=self.recipe.schedule.model_dump(mode="json"),
            plan=plan,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Members that are computed together. Plain data, like its requests."""

    form: Form
    #: Every member of the computation, the scales of one seed side by side.
    members: tuple[RunCoordinates, ...]
    #: The runs that are wanted, each one of the members. The others are computed and not kept.
    requests: tuple[RunRequest, ...]

    def plan(self) -> dict[str, Any]:
        """Returns what every manifest of the batch says about it, so that a resumed run is computed in the same way."""
        members = tuple((member.seed, member.init_scale) for member in self.members)
        return BatchPlan(form=self.form, members=members).model_dump(mode="json")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What became of one run."""

    #: The run directory.
    directory: Path
    seed: int
    init_scale: float
    #: ``trained`` from the start, ``resumed`` and finished, ``skipped`` because complete, or ``diverged``.
    outcome: Outcome
    #: Epochs trained this time.
    epochs_trained: int
    #: Epoch at which the loss stopped being finite, else None.
    diverged_at: int | None = None


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
