"""The ``fisher_mc`` metric: the Fisher information from drawn labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import BaseModel, Field

from grokprobe.geometry.sample_choice import SampleOptions, choose_samples, find_likelihood, judge_likelihood
from grokprobe.geometry.tangents import select_weights
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.fisher_sampling import LabelDraws, compute_sampled_fisher_gram


class FisherMonteCarloOptions(SampleOptions):
    """Options of the ``fisher_mc`` metric."""

    #: Labels drawn for each sample. The relative error of a norm is about 1/√(2 · draws · samples), and larger where
    #: the labels are nearly certain.
    num_draws: int = Field(default=16, ge=1)


class FisherMonteCarloMetric:
    """⟨s, s'⟩ = E_x (1/k) Σ_j (g_j · s)(g_j · s') with g_j = ∇ ln p(y_j | x, θ) at k labels y_j drawn from p(y | x, θ).

    An unbiased estimate of ``fisher`` whose error falls as 1/√k, for comparison with programs that draw labels:
    ``fisher`` itself takes no longer. The labels come from the measure's own generator, so they are the same whatever
    the tangents are. :func:`grokprobe.numerics.fisher_sampling.compute_sampled_fisher_gram` gives the standard error.

    The likelihood is the one that the task declares; the mean is over the training samples unless ``split`` says
    otherwise.

    Reference:
        arXiv 2502.01739, Eq. 14.
    """

    name = "fisher_mc"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
    is_cheap = False
    options: type[BaseModel] = FisherMonteCarloOptions
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: FisherMonteCarloOptions) -> Applicability:
        """Says whether a task declares a likelihood, and whether the samples are there."""
        return judge_likelihood(subject, options)

    def gram(self, context: Context, tangents: Sequence[Parameters]) -> torch.Tensor:
        """Returns the inner products, float64, shape (num_tangents, num_tangents).

        Raises:
            UsageError: no task, or too few samples.
        """
        options: FisherMonteCarloOptions = context.options
        inputs = choose_samples(context, options).inputs
        draws = LabelDraws(
            likelihood=find_likelihood(context), num_draws=options.num_draws, generator=context.generator
        )
        chosen = select_weights(context, tangents)
        return compute_sampled_fisher_gram(context, context.parameters, chosen, inputs, draws).mean
