"""The ``random`` compressor: weights go in a random order, the null that any other order is read against."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from grokprobe.compressors.parts import PruningOptions, build_amounts, select_parts
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.pruning import draw_scores, order_by_tensor, order_globally
from grokprobe.variables import Coordinate


class RandomOptions(PruningOptions):
    """Options of the ``random`` compressor."""

    #: Whether the share that is removed is that of each tensor by itself, or of all together.
    scope: Literal["layer", "global"] = "layer"


class RandomCompressor:
    """Sets weights to zero in an order that does not depend on them.

    How much of a network's compressibility comes from the choice of what goes, and how much from mere redundancy, is
    the difference to this one. A checkpoint has one order, drawn from a generator that run, epoch and options seed, so
    the masks are nested like those of ``magnitude``, whose counts and scopes these are. Another checkpoint, of the same
    run too, has another order.
    """

    name = "random"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS})
    is_cheap = False
    options: type[BaseModel] = RandomOptions
    variants: Mapping[str, Mapping[str, Any]] = {"global": {"scope": "global"}}

    def applies(self, subject: Subject, options: RandomOptions) -> Applicability:
        """Says whether there is a tensor to prune, and which are left out."""
        return select_parts(subject, options).applicability

    def amounts(self, options: RandomOptions) -> np.ndarray:
        """Returns the fractions of weights removed."""
        return build_amounts(options.num_amounts)

    def labels(self, options: RandomOptions) -> Mapping[str, Coordinate]:
        """Returns none."""
        del options
        return {}

    def parts(self, subject: Subject, options: RandomOptions) -> Mapping[str, tuple[str, ...]]:
        """Returns the layers."""
        return select_parts(subject, options).parts

    def compress(self, context: Context, amounts: Sequence[float]) -> Iterator[Parameters]:
        """Yields the pruned parameters; the order is drawn once."""
        options: RandomOptions = context.options
        parameters = context.parameters
        scores = draw_scores(select_parts(context.subject, options).of(parameters), context.generator)
        order = order_by_tensor(scores) if options.scope == "layer" else order_globally(scores)
        for amount in amounts:
            yield {**parameters, **order.prune(parameters, amount)}
