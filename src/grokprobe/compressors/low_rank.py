"""The ``low_rank`` compressor: the smallest singular values of every weight matrix go first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from grokprobe.compressors.parts import LayerOptions, build_amounts, select_parts
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.low_rank import decompose
from grokprobe.variables import Coordinate


class LowRankOptions(LayerOptions):
    """Options of the ``low_rank`` compressor."""

    #: Number of amounts, evenly from 0 to 1.
    num_amounts: int = Field(default=101, ge=2)


class LowRankCompressor:
    """Sets the smallest singular values of every weight matrix to zero: an encoding in few directions, not few weights.

    At amount p the largest r = (1 − p) · min(out, everything else) singular values remain, r rounded to the nearest
    whole number, halves to the even one; at 0 it is the stored tensor itself, at 1 zero. The kernel of a convolution is
    the matrix (out, in · height · width). The amount is the share of the rank, not that of the numbers to store: rank r
    takes r (out + in) of them. Biases and other vectors are never changed.
    """

    name = "low_rank"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS})
    is_cheap = False
    options: type[BaseModel] = LowRankOptions
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: LowRankOptions) -> Applicability:
        """Says whether there is a weight tensor, and which are left out."""
        return select_parts(subject, options).applicability

    def amounts(self, options: LowRankOptions) -> np.ndarray:
        """Returns the fractions of the full rank that are dropped."""
        return build_amounts(options.num_amounts)

    def labels(self, options: LowRankOptions) -> Mapping[str, Coordinate]:
        """Returns none: layers of different size have different ranks at one amount."""
        del options
        return {}

    def parts(self, subject: Subject, options: LowRankOptions) -> Mapping[str, tuple[str, ...]]:
        """Returns the layers."""
        return select_parts(subject, options).parts

    def compress(self, context: Context, amounts: Sequence[float]) -> Iterator[Parameters]:
        """Yields the truncated parameters; the singular values are computed once."""
        parameters = context.parameters
        tensors = select_parts(context.subject, context.options).of(parameters)
        forms = {name: decompose(tensor) for name, tensor in tensors.items()}
        for amount in amounts:
            yield {**parameters, **{name: form.truncate(amount) for name, form in forms.items()}}
