"""The four things a plugin may provide, and the values they exchange with the core.

The Protocols are total: every member is required, and its docstring is its law. :mod:`grokprobe.testing` checks an
implementation against them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from pydantic import BaseModel

from grokprobe.requirements import Applicability, Requirement
from grokprobe.samples import Samples, Split
from grokprobe.variables import Measurement, VariableSpec

__all__ = [
    "Applicability",
    "Compressor",
    "Context",
    "GeometryMetric",
    "Likelihood",
    "Measure",
    "Measurement",
    "Parameters",
    "PeriodicAxis",
    "Probe",
    "Requirement",
    "RunCoordinates",
    "Samples",
    "Split",
    "Subject",
    "Task",
    "VariableSpec",
]

#: Parameters of a network by name, as in a state dict.
Parameters = Mapping[str, torch.Tensor]


class Likelihood(StrEnum):
    """The conditional distribution p(y | x, θ) that the outputs parametrise."""

    #: Outputs are logits of a categorical distribution.
    CATEGORICAL = "categorical"
    #: Outputs are the mean of a Gaussian with unit variance.
    GAUSSIAN = "gaussian"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicAxis:
    """An axis of a weight matrix that runs over the elements of a cyclic group."""

    #: Name of the parameter.
    parameter: str
    #: The axis; its length is ``period``, or ``2 * period`` for two halves one after the other.
    axis: int
    #: Number of group elements.
    period: int


class Task(Protocol):
    """A learning problem: data, network, loss, and what is known about its features.

    Laws: every method is a pure function of the options and the arguments; randomness comes from the generator alone.
    """

    #: Name in recipes, on the command line and in the dataset.
    name: ClassVar[str]
    #: Changes whenever a number computed with this task may change.
    version: ClassVar[str]
    #: Strict model of the task's own parameters: the ``[task]`` table of a recipe without ``name``.
    task_options: ClassVar[type[BaseModel]]
    #: Strict model of the network's parameters: the ``[model]`` table of a recipe.
    model_options: ClassVar[type[BaseModel]]
    #: Built-in recipes: TOML text by short name (``"paper"`` is used as ``<task>/paper``).
    recipes: ClassVar[Mapping[str, str]]
    #: Short name of the recipe whose parameters are the defaults.
    default_recipe: ClassVar[str]

    def __init__(self, options: BaseModel, model_options: BaseModel) -> None:
        """Binds the task to validated options; does no work."""
        ...

    @property
    def likelihood(self) -> Likelihood:
        """The distribution whose negative log-likelihood the loss is, up to a constant."""
        ...

    @property
    def chance_accuracy(self) -> float:
        """Accuracy of the best constant guess, in [0, 1)."""
        ...

    @property
    def period(self) -> int | None:
        """Order of the cyclic group along periodic weight axes; None where the task has none."""
        ...

    def periodic_axes(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[PeriodicAxis, ...]:
        """Returns the periodic axes of this task's own network; empty if ``shapes`` is not that network."""
        ...

    def build_model(self) -> torch.nn.Module:
        """Returns the network. Its initial values have no meaning until :meth:`initialise`."""
        ...

    def initialise(self, model: torch.nn.Module, generator: torch.Generator) -> None:
        """Draws every parameter of ``model`` in place at init_scale 1. Core multiplies by the init_scale afterwards."""
        ...

    def population(self) -> Samples:
        """Returns every sample there is, in a fixed order that indices refer to."""
        ...

    def split(self, generator: torch.Generator) -> Split:
        """Draws a split of the population. Train and test are disjoint."""
        ...

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the mean loss over the samples, a scalar in natural-log units, differentiable in ``outputs``."""
        ...

    def num_correct(self, outputs: torch.Tensor, targets: torch.Tensor) -> int:
        """Returns how many samples are classified correctly."""
        ...

    def features(self, inputs: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Returns the known features of each input, each of shape (num_samples,); empty where none are known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is known about a run before any measure runs."""

    #: The task, or None for checkpoints of unknown origin.
    task: Task | None
    #: Shape of every floating-point tensor of the checkpoints.
    shapes: Mapping[str, tuple[int, ...]]
    #: Tensors that are bit for bit the same in every checkpoint of the run: buffers, not weights.
    constant: frozenset[str]
    #: Requirements that can be met.
    available: frozenset[Requirement]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCoordinates:
    """Where a run stands in the dataset."""

    #: The seed.
    seed: int
    #: The initialisation scale.
    init_scale: float


class Context(Protocol):
    """Everything a measure may see of one checkpoint. A measure does not modify it."""

    @property
    def subject(self) -> Subject:
        """What is known about the run."""
        ...

    @property
    def run(self) -> RunCoordinates:
        """Coordinates of the run."""
        ...

    @property
    def epoch(self) -> int:
        """Epoch of the checkpoint, in the run's own unit (epochs or steps)."""
        ...

    @property
    def parameters(self) -> Parameters:
        """Floating-point tensors of the checkpoint, on :attr:`device`, by the file's own names."""
        ...

    @property
    def previous(self) -> Parameters | None:
        """Parameters of the stored checkpoint before this one, loaded on access; None at the first."""
        ...

    @property
    def next(self) -> Parameters | None:
        """Parameters of the stored checkpoint after this one, loaded on access; None at the last."""
        ...

    @property
    def initial(self) -> Parameters:
        """Parameters of the run's first stored checkpoint, loaded on access."""
        ...

    @property
    def final(self) -> Parameters:
        """Parameters of the run's last stored checkpoint, loaded on access."""
        ...

    def apply(self, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the network's outputs at ``parameters`` (named as in :attr:`parameters`), in evaluation mode."""
        ...

    @property
    def train(self) -> Samples:
        """The training samples, on :attr:`device`."""
        ...

    @property
    def test(self) -> Samples:
        """The test samples, on :attr:`device`."""
        ...

    @property
    def options(self) -> Any:
        """Validated options of the measure that is running."""
        ...

    @property
    def generator(self) -> torch.Generator:
        """A generator seeded by the measure, its options, the run and the epoch: fresh at every access."""
        ...

    @property
    def device(self) -> torch.device:
        """Where to compute."""
        ...


class Measure(Protocol):
    """What probes, compressors and metrics have in common."""

    #: Name on the command line and in the dataset.
    name: str
    #: Changes whenever a number may change. Results of another version are replaced only by ``--recompute``.
    version: str
    #: What it needs; a subject that lacks one of them is "does not apply here".
    requires: frozenset[Requirement]
    #: Whether it runs when no measure is named.
    is_cheap: bool
    #: Strict pydantic model of its options, every field with a default.
    options: type[BaseModel]

    def applies(self, subject: Subject, options: Any) -> Applicability:
        """Says whether it applies beyond :attr:`requires`, from what is known before anything runs."""
        ...


class Probe(Measure, Protocol):
    """Numbers about one checkpoint.

    Laws: does not modify the context; same context, options and generator seed give an equal result; coordinates
    depend on subject and options alone.
    """

    def variables(self, options: Any) -> tuple[VariableSpec, ...]:
        """Returns the specification of every variable it measures under ``options``."""
        ...

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint. Undefined is NaN."""
        ...


class Compressor(Measure, Protocol):
    """The parameters of a checkpoint compressed by an amount in [0, 1].

    Core evaluates accuracy and loss over the amounts, their area and the compressibility.
    """

    def amounts(self, options: Any) -> np.ndarray:
        """Returns the increasing grid of amounts, from 0 (unchanged) to at most 1."""
        ...

    def compress(self, context: Context, amounts: Sequence[float]) -> Iterator[Parameters]:
        """Yields the compressed parameters for each amount, each from the original; amount 0 yields it unchanged."""
        ...


class GeometryMetric(Measure, Protocol):
    """An inner product of tangent vectors at a checkpoint's parameters, and nothing else."""

    def gram(self, context: Context, tangents: Sequence[Parameters]) -> torch.Tensor:
        """Returns the symmetric positive semi-definite matrix ⟨v_i, v_j⟩, float64, of shape (n, n)."""
        ...
