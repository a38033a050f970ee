"""The ``fisher_diag_regression`` metric: the diagonal that the paper's authors compute."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import BaseModel

from grokprobe.geometry.sample_choice import SampleOptions, choose_samples, judge_samples
from grokprobe.geometry.tangents import find_weights
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.fisher_gram import compute_diagonal_gram
from grokprobe.numerics.output_fisher import IdentityFisher


class FisherDiagRegressionOptions(SampleOptions):
    """Options of the ``fisher_diag_regression`` metric."""


class FisherDiagRegressionMetric:
    """⟨s, s'⟩ = Σ_i F_ii s_i s'_i with F_ii = E_x Σ_k (∂_i f_k)² of the raw outputs f, logits or not.

    The diagonal of JᵀJ is Fisher information if the outputs are the mean of a Gaussian with unit variance; of logits it
    is not, since it weighs an output however unlikely its label is. It needs no likelihood.

    The mean is over the training samples unless ``split`` says otherwise. The authors take the first 16 test samples of
    modular addition, the label ``fisher_diag_regression@authors``, and all 1000 test samples of the Ising task,
    ``fisher_diag_regression@test`` with the test split of that size.

    Reference:
        code of arXiv 2502.01739: the variant "regression" of nngeometry.
    """

    name = "fisher_diag_regression"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
    is_cheap = False
    options: type[BaseModel] = FisherDiagRegressionOptions
    variants: Mapping[str, Mapping[str, Any]] = {
        "authors": {"split": "test", "num_samples": 16},
        "test": {"split": "test"},
    }

    def applies(self, subject: Subject, options: FisherDiagRegressionOptions) -> Applicability:
        """Says whether the samples are there."""
        return judge_samples(subject, options)

    def gram(self, context: Context, tangents: Sequence[Parameters]) -> torch.Tensor:
        """Returns the inner products, float64, shape (num_tangents, num_tangents).

        Raises:
            UsageError: too few samples.
        """
        inputs = choose_samples(context, context.options).inputs
        weights = find_weights(context)
        diagonal = compute_fisher_diagonal(context, context.parameters, inputs, IdentityFisher(), names=weights)
        return compute_diagonal_gram(diagonal, tangents)
