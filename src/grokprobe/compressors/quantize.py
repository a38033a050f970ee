"""The ``quantize`` compressor: every weight in few bits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from grokprobe import names
from grokprobe.compressors.parts import BiasOptions, select_parts
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.quantization import FULL_BITS, quantize_uniformly
from grokprobe.variables import Coordinate


class QuantizeOptions(BiasOptions):
    """Options of the ``quantize`` compressor."""


class QuantizeCompressor:
    """Rounds every weight to a uniform grid of 2^bits − 1 levels, symmetric about zero, that spans its tensor.

    The amount is 1 − bits / 32, and the coordinate ``bits`` goes from 32, the stored tensor itself, down to 0, zero.
    The levels are the multiples of M / (2^(bits − 1) − 1) up to M, the largest magnitude of the tensor; one bit leaves
    zero as the only level, two bits leave −M, 0 and M. Most of the range is flat: networks rarely need more than 8
    bits, so the compressibility of this compressor is to be compared with its own at other checkpoints alone.
    """

    name = "quantize"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS})
    is_cheap = False
    options: type[BaseModel] = QuantizeOptions
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: QuantizeOptions) -> Applicability:
        """Says whether there is a tensor to quantize, and which are left out."""
        return select_parts(subject, options).applicability

    def amounts(self, options: QuantizeOptions) -> np.ndarray:
        """Returns the fractions of 32 bits that are saved."""
        del options
        return 1 - _num_bits() / FULL_BITS

    def labels(self, options: QuantizeOptions) -> Mapping[str, Coordinate]:
        """Returns the number of bits at each amount."""
        del options
        coordinate = Coordinate(dim=names.AMOUNT, values=_num_bits(), units="bit", description="bits of a weight")
        return {names.BITS: coordinate}

    def parts(self, subject: Subject, options: QuantizeOptions) -> Mapping[str, tuple[str, ...]]:
        """Returns the layers."""
        return select_parts(subject, options).parts

    def compress(self, context: Context, amounts: Sequence[float]) -> Iterator[Parameters]:
        """Yields the quantized parameters."""
        parameters = context.parameters
        tensors = select_parts(context.subject, context.options).of(parameters)
        for amount in amounts:
            bits = round((1 - amount) * FULL_BITS)
            yield {**parameters, **{name: quantize_uniformly(tensor, bits) for name, tensor in tensors.items()}}


def _num_bits() -> np.ndarray:
    return np.arange(FULL_BITS, -1, -1)
