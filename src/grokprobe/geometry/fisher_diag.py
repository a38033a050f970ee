"""The ``fisher_diag`` metric: the diagonal of the exact Fisher information."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import BaseModel

from grokprobe.geometry.sample_choice import SampleOptions, choose_samples, find_likelihood, judge_likelihood
from grokprobe.geometry.tangents import find_weights
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.fisher_gram import compute_diagonal_gram
from grokprobe.numerics.output_fisher import exact_fisher


class FisherDiagOptions(SampleOptions):
    """Options of the ``fisher_diag`` metric."""


class FisherDiagMetric:
    """⟨s, s'⟩ = Σ_i F_ii s_i s'_i with F_ii = E_x E_{y~p(y|x,θ)}[(∂_i ln p)²], the expectation over labels exact.

    What the paper defines and then approximates: all products of different parameters are left out. It is invariant
    under the rescaling of ReLU neurons and not under a rotation of them; ``fisher`` leaves nothing out.

    The likelihood is the one that the task declares; the mean is over the training samples unless ``split`` says
    otherwise.

    Reference:
        arXiv 2502.01739, Eq. 8, 9 and 14.
    """

    name = "fisher_diag"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
    is_cheap = False
    options: type[BaseModel] = FisherDiagOptions
    variants: Mapping[str, Mapping[str, Any]] = {"test": {"split": "test"}}

    def applies(self, subject: Subject, options: FisherDiagOptions) -> Applicability:
        """Says whether a task declares a likelihood, and whether the samples are there."""
        return judge_likelihood(subject, options)

    def gram(self, context: Context, tangents: Sequence[Parameters]) -> torch.Tensor:
        """Returns the inner products, float64, shape (num_tangents, num_tangents).

        Raises:
            UsageError: no task, or too few samples.
        """
        inputs = choose_samples(context, context.options).inputs
        output_fisher, weights = exact_fisher(find_likelihood(context)), find_weights(context)
        diagonal = compute_fisher_diagonal(context, context.parameters, inputs, output_fisher, names=weights)
        return compute_diagonal_gram(diagonal, tangents)
