"""Addition modulo p as a classification problem.

Reference: Manning-Coe et al., *Grokking vs. Learning: Same Features, Different Encodings*, arXiv 2502.01739.
"""

import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, ClassVar, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from grokprobe.interfaces import Likelihood, PeriodicAxis, Samples, Split
from grokprobe.progress import Progress
from grokprobe_tasks.modular_addition.network import TwoLayerNetwork
from grokprobe_tasks.modular_addition.stacked import StackedTwoLayerNetwork


class ModularAdditionOptions(BaseModel):
    """What is learned, and from how much of it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Number of group elements; prime in the published runs, which no code here relies on.
    p: int = Field(default=113, ge=2)
    #: Share of the p² pairs that is trained on.
    train_fraction: float = Field(default=0.7, gt=0, lt=1)

    @property
    def num_pairs(self) -> int:
        """Number of pairs (a, b)."""
        return self.p**2

    @property
    def num_train(self) -> int:
        """Number of training pairs, ⌊p² · train_fraction⌋."""
        return math.floor(self.num_pairs * self.train_fraction)

    @model_validator(mode="after")
    def _has_training_pairs(self) -> Self:
        if self.num_train == 0:
            raise ValueError(
                f"expected at least one training pair, found none of {self.num_pairs}; raise train_fraction"
            )
        return self


class ModularAdditionModelOptions(BaseModel):
    """The size of the network."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Number of hidden neurons.
    hidden: int = Field(default=512, ge=1)


class ModularAddition:
    """Predict c = (a + b) mod p from the two-hot encoding of the pair (a, b).

    A network that generalises represents each number by a few angles 2πka/p, so its weights are periodic along the
    inputs and outputs; a network that memorises needs no such structure.

    The loss is the mean cross entropy, natural logarithm, of class indices. It equals the cross entropy against
    one-hot targets, −Σ_c y_c ln p_c, since the one-hot y selects the term of the class.

    Reference: Manning-Coe et al., arXiv 2502.01739, section 2 and appendix A.
    """

    name: ClassVar[str] = "modular_addition"
    version: ClassVar[str] = "1"
    task_options: ClassVar[type[BaseModel]] = ModularAdditionOptions
    model_options: ClassVar[type[BaseModel]] = ModularAdditionModelOptions
    recipes: ClassVar[Mapping[str, str]] = {
        name: files("grokprobe_tasks.modular_addition").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")
        for name in ("paper", "grokking", "steady", "demo")
    }
    default_recipe: ClassVar[str] = "paper"

    def __init__(self, options: Any, model_options: Any) -> None:
        self._options: ModularAdditionOptions = options
        self._model_options: ModularAdditionModelOptions = model_options

    @property
    def likelihood(self) -> Likelihood:
        """Outputs are logits over the p sums."""
        return Likelihood.CATEGORICAL

    @property
    def chance_accuracy(self) -> float:
        """1/p: over all pairs each sum occurs p times."""
        return 1 / self._options.p

    @property
    def period(self) -> int:
        """Order p of the cyclic group."""
        return self._options.p

    def periodic_axes(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[PeriodicAxis, ...]:
        """Returns the inputs of the first layer (two halves, a then b) and the outputs of the last."""
        p, hidden = self._options.p, self._model_options.hidden
        if shapes.get("input.weight") != (hidden, 2 * p) or shapes.get("output.weight") != (p, hidden):
            return ()
        return (
            PeriodicAxis(parameter="input.weight", axis=1, period=p),
            PeriodicAxis(parameter="output.weight", axis=0, period=p),
        )

    def build_model(self) -> TwoLayerNetwork:
        """Returns the network with 3·p·hidden + hidden + p parameters."""
        return TwoLayerNetwork(self._options.p, self._model_options.hidden)

    def stacked_form(self) -> StackedTwoLayerNetwork:
        """Returns the network with its first layer as a sum of two rows and its gradients written by hand."""
        return StackedTwoLayerNetwork()

    def initialise(self, model: nn.Module, generator: torch.Generator) -> None:
        """Draws Xavier-normal weights, standard deviation √(2 / (fan_in + fan_out)), and zero biases.

        Weights are drawn in the order ``input.weight``, ``output.weight``.
        """
        parameters = dict(model.named_parameters())
        for layer in ("input", "output"):
            nn.init.xavier_normal_(parameters[f"{layer}.weight"], generator=generator)
            nn.init.zeros_(parameters[f"{layer}.bias"])

    @property
    def feature_names(self) -> tuple[str, ...]:
        """None: its features are Fourier components of the weights, not functions of an input."""
        return ()

    def population(self, progress: Progress) -> Samples:  # noqa: ARG002 - it takes no time
        """Returns all pairs in the order of the index p·a + b.

        Inputs are float32 of shape (p², 2p), the one-hot of a and then that of b; targets int64 of shape (p²,).
        """
        p = self._options.p
        first, second = torch.arange(p).repeat_interleave(p), torch.arange(p).repeat(p)
        halves = [nn.functional.one_hot(numbers, p) for numbers in (first, second)]
        return Samples(inputs=torch.cat(halves, dim=1).float(), targets=(first + second) % p)

    def split(self, seed: int, generator: torch.Generator) -> Split:  # noqa: ARG002 - no split is published by number
        """Draws a random permutation of the pairs: the first ⌊p² · train_fraction⌋ are for training, the rest to test.

        At p = 113 and a fraction of 0.7 that is 8938 and 3831, as the paper prints. The authors' code gives the
        remainder of the rounding to the training part instead: 8939 and 3830.
        """
        order = torch.randperm(self._options.num_pairs, generator=generator)
        return Split(train=order[: self._options.num_train], test=order[self._options.num_train :])

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the mean cross entropy in nats of class indices ``targets``."""
        return nn.functional.cross_entropy(outputs, targets)

    def num_correct(self, outputs: torch.Tensor, targets: torch.Tensor) -> int:
        """Returns for how many samples the largest logit, the first of equal ones, is the right sum's."""
        return int((outputs.argmax(dim=1) == targets).sum())

    def features(self, inputs: torch.Tensor) -> Mapping[str, torch.Tensor]:  # noqa: ARG002 - the interface's signature
        """Returns nothing."""
        return {}
