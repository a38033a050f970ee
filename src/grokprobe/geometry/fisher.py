"""The ``fisher`` metric: the exact Fisher information, without a diagonal approximation."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import BaseModel

from grokprobe.geometry.sample_choice import SampleOptions, choose_samples, find_likelihood, judge_likelihood
from grokprobe.geometry.tangents import select_weights
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.fisher_gram import compute_fisher_gram
from grokprobe.numerics.output_fisher import exact_fisher


class FisherOptions(SampleOptions):
    """Options of the ``fisher`` metric."""


class FisherMetric:
    """⟨s, s'⟩ = E_x[(J s)ᵀ G (J s')] with G = diag p − p pᵀ for a categorical likelihood and G = 1 for a Gaussian one.

    The expectation over labels is exact and all entries of the Fisher matrix count: the matrix is never formed, each
    tangent takes one Jacobian-vector product J s. ½⟨s, s⟩ of a short step is the mean Kullback-Leibler divergence
    between the predictions before and after it, in nats, so the metric measures how far the *function* moves: it is
    invariant under every reparameterisation that the tangents are mapped along, such as the rescaling of ReLU neurons
    and the rotation of the hidden layer of a linear network.

    The likelihood is the one that the task declares; the mean is over the training samples unless ``split`` says
    otherwise.

    Reference:
        arXiv 2502.01739, Eq. 8, 9 and 14; the paper itself uses the diagonal.
    """

    name = "fisher"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
    is_cheap = False
    options: type[BaseModel] = FisherOptions
    variants: Mapping[str, Mapping[str, Any]] = {"test": {"split": "test"}}

    def applies(self, subject: Subject, options: FisherOptions) -> Applicability:
        """Says whether a task declares a likelihood, and whether the samples are there."""
        return judge_likelihood(subject, options)

    def gram(self, context: Context, tangents: Sequence[Parameters]) -> torch.Tensor:
        """Returns the inner products, float64, shape (num_tangents, num_tangents).

        Raises:
            UsageError: no task, or too few samples.
        """
        inputs = choose_samples(context, context.options).inputs
        output_fisher = exact_fisher(find_likelihood(context))
        return compute_fisher_gram(
            context, context.parameters, select_weights(context, tangents), inputs, output_fisher
        )
