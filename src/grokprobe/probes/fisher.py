"""The ``fisher`` probe: how much the outputs depend on each parameter, and along how many directions."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field

from grokprobe import names
from grokprobe.geometry.sample_choice import (
    SampleOptions,
    choose_samples,
    find_likelihood,
    judge_likelihood,
    judge_samples,
)
from grokprobe.geometry.tangents import find_weights
from grokprobe.interfaces import Applicability, Context, Requirement, Subject
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.fisher_spectrum import compute_fisher_eigenvalues
from grokprobe.numerics.inequality import compute_gini
from grokprobe.numerics.output_fisher import IdentityFisher, OutputFisher, empirical_fisher, exact_fisher
from grokprobe.numerics.ranks import choose_ranks
from grokprobe.probes.fisher_variables import DIAGONAL, EIGENVALUE, FISHER_VARIABLES
from grokprobe.variables import Coordinate, Measurement, VariableSpec


class FisherOptions(SampleOptions):
    """Options of the ``fisher`` probe."""

    #: Which Fisher: ``exact``, the expectation over the labels that the network itself predicts, by the likelihood that
    #: the task declares; ``regression``, JᵀJ of the raw outputs, as in the authors' code; or ``empirical``, with the
    #: observed labels.
    variant: Literal["exact", "regression", "empirical"] = "exact"
    #: How many ranks of the sorted spectra to store, spread evenly in the logarithm of the rank; None for all of them.
    num_ranks: int | None = Field(default=256, ge=2)
    #: Whether to store the eigenvalues of the full matrix; for small networks only.
    eigenvalues: bool = False
    #: Whether to store the diagonal, one number a parameter.
    diagonal: bool = False


class FisherProbe:
    """Measures the diagonal of the Fisher matrix, and its eigenvalues on request.

    A parameter with a large entry is stiff: the predictions depend on it. The trace grows where the outputs are
    sensitive to the parameters and falls as a categorical likelihood becomes certain; the Gini coefficient says how
    unevenly the sensitivity is spread. The eigenvalues say the same independently of the coordinates.

    Dimensions: ``rank``, 1 for the largest, the ranks spread evenly in the logarithm; ``parameter``, all numbers of all
    tensors that change along the run, in the order of the file.

    The label ``fisher@authors`` is the diagonal that the authors' code computes for modular addition: ``regression``
    over the first 16 test samples.

    Reference:
        arXiv 2502.01739, Eq. 14 and Fig. 20.
    """

    name = "fisher"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
    is_cheap = False
    options: type[BaseModel] = FisherOptions
    variants: Mapping[str, Mapping[str, Any]] = {
        "regression": {"variant": "regression"},
        "empirical": {"variant": "empirical"},
        "authors": {"variant": "regression", "split": "test", "num_samples": 16},
    }

    def applies(self, subject: Subject, options: FisherOptions) -> Applicability:
        """Says whether the samples are there and, if the variant needs one, a likelihood."""
        judge = judge_samples if options.variant == "regression" else judge_likelihood
        return judge(subject, options)

    def variables(self, options: FisherOptions) -> tuple[VariableSpec, ...]:
        """Returns the specifications; ``diagonal`` and ``eigenvalue`` on request."""
        on_request = (DIAGONAL,) * options.diagonal + (EIGENVALUE,) * options.eigenvalues
        return (*FISHER_VARIABLES, *on_request)

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint.

        Raises:
            UsageError: no task although the variant needs a likelihood, too few samples, or eigenvalues of a network
                and data that are too large for them.
        """
        options: FisherOptions = context.options
        weights = find_weights(context)
        inputs, output_fisher = choose_samples(context, options).inputs, _find_output_fisher(context, options)
        by_name = compute_fisher_diagonal(context, context.parameters, inputs, output_fisher, names=weights)
        diagonal = torch.cat([values.flatten() for values in by_name.values()])
        ranks = choose_ranks(len(diagonal), options.num_ranks)
        values = {
            "trace": diagonal.sum(),
            "gini": compute_gini(diagonal),
            "sorted_diagonal": diagonal.sort(descending=True).values[ranks - 1],
        }
        coordinates = {names.RANK: _rank_coordinate(ranks)}
        if options.eigenvalues:
            found = compute_fisher_eigenvalues(context, context.parameters, inputs, output_fisher, names=weights)
            everything = torch.nn.functional.pad(found, (0, len(diagonal) - len(found)))
            values["eigenvalue"] = everything[ranks - 1]
        if options.diagonal:
            values["diagonal"] = diagonal
            coordinates |= _parameter_coordinates(weights)
        return Measurement(
            values={name: tensor.cpu().numpy() for name, tensor in values.items()}, coordinates=coordinates
        )


def _find_output_fisher(context: Context, options: FisherOptions) -> OutputFisher:
    if options.variant == "regression":
        return IdentityFisher()
    likelihood = find_likelihood(context)
    if options.variant == "exact":
        return exact_fisher(likelihood)
    return empirical_fisher(likelihood, choose_samples(context, options).targets)


def _rank_coordinate(ranks: np.ndarray) -> Coordinate:
    return Coordinate(dim=names.RANK, values=ranks, description="rank, 1 for the largest")


def _parameter_coordinates(weights: Mapping[str, torch.Tensor]) -> dict[str, Coordinate]:
    sizes = [tensor.numel() for tensor in weights.values()]
    return {
        names.PARAMETER_TENSOR: Coordinate(
            dim=names.PARAMETER, values=np.repeat(list(weights), sizes), description="tensor of the parameter"
        ),
        names.PARAMETER_INDEX: Coordinate(
            dim=names.PARAMETER,
            values=np.concatenate([np.arange(size) for size in sizes]),
            description="index within the tensor, flattened in C order",
        ),
    }
