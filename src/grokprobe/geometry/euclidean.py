"""The ``euclidean`` metric: the plain inner product of parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from grokprobe.geometry.tangents import find_weights
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.fisher_gram import compute_diagonal_gram


class EuclideanOptions(BaseModel):
    """Options of the ``euclidean`` metric: none."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EuclideanMetric:
    """⟨s, s'⟩ = Σ_i s_i s'_i over all parameters that change along the run, biases included.

    It needs no data and no network. It says how far the numbers move and not how far the function moves: multiplying
    the weights into a ReLU neuron by α and those out of it by 1/α leaves the function alone and changes this.

    Reference:
        arXiv 2502.01739, appendix G.2.
    """

    name = "euclidean"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS})
    is_cheap = True
    options: type[BaseModel] = EuclideanOptions
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: EuclideanOptions) -> Applicability:
        """Applies to every subject."""
        del subject, options
        return Applicability()

    def gram(self, context: Context, tangents: Sequence[Parameters]) -> torch.Tensor:
        """Returns the inner products, float64, shape (num_tangents, num_tangents)."""
        return compute_diagonal_gram(
            {name: torch.ones_like(tensor) for name, tensor in find_weights(context).items()}, tangents
        )
