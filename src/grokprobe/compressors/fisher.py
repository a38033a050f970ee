"""The ``fisher`` compressor: the weights that the outputs depend on least go first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel

from grokprobe.compressors.parts import PruningOptions, build_amounts, select_parts
from grokprobe.errors import UsageError
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.output_fisher import IdentityFisher, exact_fisher
from grokprobe.numerics.pruning import order_by_tensor, order_globally
from grokprobe.variables import Coordinate


class FisherOptions(PruningOptions):
    """Options of the ``fisher`` compressor."""

    #: Whether the entries of one tensor are compared, so that all tensors lose the same share, or those of all.
    scope: Literal["layer", "global"] = "global"
    #: Which Fisher: ``exact``, the expectation over the labels that the network itself predicts, by the likelihood that
    #: the task declares; or ``regression``, JᵀJ of the outputs, as in the authors' code.
    metric: Literal["exact", "regression"] = "exact"


class FisherCompressor:
    """Sets the weights of smallest Fisher diagonal entry to zero.

    The diagonal is that of the checkpoint, the mean over the training samples, and computed once: masks are nested, and
    counted as for ``magnitude``. Entries that are exactly equal go in the order of the tensors in the file, then of
    their flat index: with ``regression`` all weights that leave one neuron of the last layer are equal, and its biases
    are 1.

    The label ``fisher@by_layer`` compares the entries of each layer by themselves (``scope`` is ``layer``) and prunes
    one at a time.

    Reference: Manning-Coe et al., arXiv 2502.01739, appendix F.1. The authors' code prunes biases, too, and orders each
    single layer by the diagonal of the network that its previous call left behind.
    """

    name = "fisher"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS, Requirement.MODEL, Requirement.TRAIN_SPLIT})
    is_cheap = False
    options: type[BaseModel] = FisherOptions
    variants: Mapping[str, Mapping[str, Any]] = {
        "layer": {"scope": "layer"},
        "by_layer": {"scope": "layer"},
        "regression": {"metric": "regression"},
    }

    def applies(self, subject: Subject, options: FisherOptions) -> Applicability:
        """Says whether there is a tensor to prune, and which are left out."""
        if subject.task is None:
            return Applicability(reason="no task says what the likelihood is")
        return select_parts(subject, options).applicability

    def amounts(self, options: FisherOptions) -> np.ndarray:
        """Returns the fractions of weights removed."""
        return build_amounts(options.num_amounts)

    def labels(self, options: FisherOptions) -> Mapping[str, Coordinate]:
        """Returns none."""
        del options
        return {}

    def parts(self, subject: Subject, options: FisherOptions) -> Mapping[str, tuple[str, ...]]:
        """Returns the layers."""
        return select_parts(subject, options).parts

    def compress(self, context: Context, amounts: Sequence[float]) -> Iterator[Parameters]:
        """Yields the pruned parameters; the diagonal is computed once."""
        options: FisherOptions = context.options
        parameters = context.parameters
        diagonal = _compute_diagonal(context, list(select_parts(context.subject, options).of(parameters)))
        order = order_by_tensor(diagonal) if options.scope == "layer" else order_globally(diagonal)
        for amount in amounts:
            yield {**parameters, **order.prune(parameters, amount)}


def _compute_diagonal(context: Context, wanted: list[str]) -> dict[str, torch.Tensor]:
    options: FisherOptions = context.options
    task = context.subject.task
    if task is None:
        raise UsageError("expected a task, found none: fisher does not apply")
    of_outputs = IdentityFisher() if options.metric == "regression" else exact_fisher(task.likelihood.value)
    found = compute_fisher_diagonal(context, context.parameters, context.train.inputs, of_outputs, names=wanted)
    return {name: found[name] for name in wanted}
