"""The ``fisher_empirical`` metric: second moments of the gradients of the loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import BaseModel

from grokprobe.geometry.sample_choice import SampleOptions, choose_samples, find_likelihood, judge_likelihood
from grokprobe.geometry.tangents import select_weights
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.fisher_gram import compute_fisher_gram
from grokprobe.numerics.output_fisher import empirical_fisher


class FisherEmpiricalOptions(SampleOptions):
    """Options of the ``fisher_empirical`` metric."""


class FisherEmpiricalMetric:
    """⟨s, s'⟩ = E_(x,y)[(g · s)(g · s')] with g = ∇ ln p(y | x, θ) at the *observed* label y.

    The full inner product, not its diagonal: g · s is the change of ln p(y | x) along s, from one Jacobian-vector
    product. It is no Fisher information but tends to it as the model becomes right about the labels, and vanishes where
    the samples are fitted perfectly. It is invariant under the reparameterisations under which ``fisher`` is.

    The likelihood is the one that the task declares; the mean is over the training samples unless ``split`` says
    otherwise.

    Reference:
        F. Kunstner, L. Balles, P. Hennig, Limitations of the empirical Fisher approximation, NeurIPS 2019.
    """

    name = "fisher_empirical"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
    is_cheap = False
    options: type[BaseModel] = FisherEmpiricalOptions
    variants: Mapping[str, Mapping[str, Any]] = {"test": {"split": "test"}}

    def applies(self, subject: Subject, options: FisherEmpiricalOptions) -> Applicability:
        """Says whether a task declares a likelihood, and whether the samples are there."""
        return judge_likelihood(subject, options)

    def gram(self, context: Context, tangents: Sequence[Parameters]) -> torch.Tensor:
        """Returns the inner products, float64, shape (num_tangents, num_tangents).

        Raises:
            UsageError: no task, or too few samples.
        """
        samples = choose_samples(context, context.options)
        output_fisher = empirical_fisher(find_likelihood(context), samples.targets)
        chosen = select_weights(context, tangents)
        return compute_fisher_gram(context, context.parameters, chosen, samples.inputs, output_fisher)
