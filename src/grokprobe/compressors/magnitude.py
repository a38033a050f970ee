"""The ``magnitude`` compressor: the smallest weights go first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from grokprobe.compressors.parts import PruningOptions, build_amounts, select_parts
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.pruning import PruningOrder, compute_magnitudes, order_by_tensor, order_globally
from grokprobe.variables import Coordinate


class MagnitudeOptions(PruningOptions):
    """Options of the ``magnitude`` compressor."""

    #: Which weights are compared: ``layer`` those of one tensor, so that all tensors lose the same share at the same
    #: time; ``global`` those of all tensors; ``global_normalized`` all, each divided by its tensor's Frobenius norm.
    scope: Literal["layer", "global", "global_normalized"] = "layer"


class MagnitudeCompressor:
    """Sets the weights of smallest magnitude to zero, from the original anew for every amount.

    At amount p the smallest k = p · n of the n weights that are compared are zero, k rounded to the nearest whole
    number, halves to the even one, equal magnitudes in the order of their flat index. The masks are nested: what is
    zero at one amount is zero at any larger one. At amount 1 every pruned tensor is zero and what remains are the
    biases, unless these are pruned, too.

    Reference: Manning-Coe et al., arXiv 2502.01739, section 4 (by layer, in parallel) and appendix F.2 (the others).
    """

    name = "magnitude"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS})
    is_cheap = False
    options: type[BaseModel] = MagnitudeOptions
    variants: Mapping[str, Mapping[str, Any]] = {
        "global": {"scope": "global"},
        "global_normalized": {"scope": "global_normalized"},
    }

    def applies(self, subject: Subject, options: MagnitudeOptions) -> Applicability:
        """Says whether there is a tensor to prune, and which are left out."""
        return select_parts(subject, options).applicability

    def amounts(self, options: MagnitudeOptions) -> np.ndarray:
        """Returns the fractions of weights removed."""
        return build_amounts(options.num_amounts)

    def labels(self, options: MagnitudeOptions) -> Mapping[str, Coordinate]:
        """Returns none."""
        del options
        return {}

    def parts(self, subject: Subject, options: MagnitudeOptions) -> Mapping[str, tuple[str, ...]]:
        """Returns the layers."""
        return select_parts(subject, options).parts

    def compress(self, context: Context, amounts: Sequence[float]) -> Iterator[Parameters]:
        """Yields the pruned parameters; the order is computed once."""
        options: MagnitudeOptions = context.options
        parameters = context.parameters
        order = _order(select_parts(context.subject, options).of(parameters), options)
        for amount in amounts:
            yield {**parameters, **order.prune(parameters, amount)}


def _order(tensors: Parameters, options: MagnitudeOptions) -> PruningOrder:
    scores = compute_magnitudes(tensors, relative_to_norm=options.scope == "global_normalized")
    return order_by_tensor(scores) if options.scope == "layer" else order_globally(scores)
