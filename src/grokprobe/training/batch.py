"""Runs, and which of them are trained in one computation."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from grokprobe.analysis_report import AnalysisReport
from grokprobe.checkpoints.native import RunManifest
from grokprobe.interfaces import RunCoordinates
from grokprobe.markup import render_block, shorten_path
from grokprobe.training.pace import RESUME_SECONDS
from grokprobe.training.recipe import Recipe
from grokprobe.training.tables import OptimizerTable

#: ``plain``: the network itself, one member after the other. ``stacked``: all members in one computation.
Form = Literal["plain", "stacked"]

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

Outcome = Literal["trained", "resumed", "skipped", "diverged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMember:
    """What tells the members of a computation from each other."""

    seed: int
    init_scale: float
    #: Learning rate.
    lr: float
    weight_decay: float

    @property
    def run(self) -> RunCoordinates:
        """Its place in its experiment."""
        return RunCoordinates(seed=self.seed, init_scale=self.init_scale)

    def optimizer(self, table: OptimizerTable) -> OptimizerTable:
        """Returns ``table`` with its own learning rate and weight decay."""
        return table.model_copy(update={"lr": self.lr, "weight_decay": self.weight_decay})


class BatchPlan(BaseModel):
    """The ``plan`` of a manifest: how a run is computed, and with whom."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    form: Form
    #: Seed and init_scale of every member of the computation, the members of one seed side by side.
    members: tuple[tuple[NonNegativeInt, _Positive], ...]
    #: Learning rate and weight decay of every member where they differ; None where all have those of the run itself.
    optimizers: tuple[tuple[_Positive, Annotated[float, Field(ge=0, allow_inf_nan=False)]], ...] | None = None

    @model_validator(mode="after")
    def _are_seeds_times_others(self) -> Self:
        optimizers = self.optimizers or ((),) * len(self.members)
        if len(optimizers) != len(self.members):
            raise ValueError("expected as many optimizers as members")
        runs = [tuple(group) for _, group in itertools.groupby(self.members, key=lambda member: member[0])]
        seeds = [group[0][0] for group in runs]
        whole = set(zip(self.members, optimizers, strict=True))
        if not runs or len(whole) < len(self.members) or len(set(seeds)) < len(seeds):
            raise ValueError("expected different members, those of a seed side by side")
        if len({len(group) for group in runs}) > 1:
            raise ValueError("expected equally many members of every seed")
        return self

    def batch_members(self, own: OptimizerTable) -> tuple[BatchMember, ...]:
        """Returns the members, those without optimizers of their own with the run's own one."""
        optimizers = self.optimizers or ((own.lr, own.weight_decay),) * len(self.members)
        return tuple(
            BatchMember(seed=seed, init_scale=scale, lr=lr, weight_decay=weight_decay)
            for (seed, scale), (lr, weight_decay) in zip(self.members, optimizers, strict=True)
        )


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
    #: Seconds of training between two states to resume from. No byte of a run that has ended depends on it.
    resume_seconds: float = RESUME_SECONDS
    #: Epoch after which training stops for now; None for the last one.
    pause_at: int | None = None

    @property
    def stop(self) -> int:
        """The epoch up to which it is trained now."""
        epochs = self.recipe.schedule.epochs
        return epochs if self.pause_at is None else min(self.pause_at, epochs)

    @property
    def member(self) -> BatchMember:
        """Its place in the sweep."""
        optimizer = self.recipe.optimizer
        return BatchMember(
            seed=self.seed, init_scale=self.init_scale, lr=optimizer.lr, weight_decay=optimizer.weight_decay
        )

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
    #: Every member of the computation, those of one seed side by side.
    members: tuple[BatchMember, ...]
    #: The runs that are wanted, each one of the members. The others are computed and not kept.
    requests: tuple[RunRequest, ...]

    def plan(self) -> dict[str, Any]:
        """Returns what every manifest of the batch says about it, so that a resumed run is computed in the same way."""
        members = tuple((member.seed, member.init_scale) for member in self.members)
        optimizers = tuple((member.lr, member.weight_decay) for member in self.members)
        plan = BatchPlan(form=self.form, members=members, optimizers=optimizers if len(set(optimizers)) > 1 else None)
        return plan.model_dump(mode="json", exclude_none=True)


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

    #: One report a run, experiment after experiment, in the order of
    #: :meth:`~grokprobe.training.recipe.Recipe.members`.
    runs: tuple[RunReport, ...]
    #: The reports of the analyses that were made on the way.
    analyses: tuple[AnalysisReport, ...] = ()

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

    def _repr_html_(self) -> str:
        rows = [
            (run.seed, f"{run.init_scale:g}", run.outcome, run.epochs_trained, shorten_path(run.directory))
            for run in self.runs
        ]
        return render_block(
            f"Runs: {len(self.runs)}",
            header=("seed", "init_scale", "outcome", "epochs", "directory"),
            rows=rows,
            lines=[f"{run.directory}: its loss is not finite after epoch {run.diverged_at}" for run in self.diverged],
        )
