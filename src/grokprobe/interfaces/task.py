"""A Task: the learning problem behind a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

import torch
from pydantic import BaseModel

from grokprobe.interfaces.stacked import StackedForm
from grokprobe.progress import Progress
from grokprobe.samples import Samples, Split


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

    def stacked_form(self) -> StackedForm | None:
        """Returns the network for many members at once; None to have one made of :meth:`build_model`."""
        ...

    def initialise(self, model: torch.nn.Module, generator: torch.Generator) -> None:
        """Draws every parameter of ``model`` in place at init_scale 1. Core multiplies by the init_scale afterwards."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the known features of an input, the keys of :meth:`features`; empty where none are known."""
        ...

    def population(self, progress: Progress) -> Samples:
        """Returns every sample there is, in a fixed order that indices refer to.

        Args:
            progress: told of work that takes more than a moment, such as a simulation.
        """
        ...

    def split(self, seed: int, generator: torch.Generator) -> Split:
        """Draws the split of a seed. Train and test are disjoint.

        Args:
            seed: the run's seed, for a task whose published splits are known by their number.
            generator: the seed's own stream for data, from which any other split is drawn.
        """
        ...

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the mean loss over the samples, a scalar in natural-log units, differentiable in ``outputs``."""
        ...

    def num_correct(self, outputs: torch.Tensor, targets: torch.Tensor) -> int:
        """Returns how many samples are classified correctly."""
        ...

    def features(self, inputs: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Returns the known features of each input, each of shape (num_samples,), float64, by name."""
        ...
