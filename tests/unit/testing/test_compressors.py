import numpy as np
import pytest
import torch

from grokprobe.testing import ConformanceError, check_compressor
from unit.testing.miniature import ScalingCompressor, build_context


class Compounding(ScalingCompressor):
    def amounts(self, options):
        return np.array([0.0, 0.25, 0.5])

    def compress(self, context, amounts):
        current = context.parameters
        for amount in amounts:
            current = {name: (1 - amount) * tensor for name, tensor in current.items()}
            yield current


class InPlace(ScalingCompressor):
    def compress(self, context, amounts):
        for amount in amounts:
            for tensor in context.parameters.values():
                tensor.mul_(1 - amount)
            yield context.parameters


class ChangesAtZero(ScalingCompressor):
    def compress(self, context, amounts):
        return super().compress(context, [amount / 2 + 0.1 for amount in amounts])


class Random(ScalingCompressor):
    def compress(self, context, amounts):
        for amount in amounts:
            yield {name: tensor * (1 - amount * torch.rand(1)) for name, tensor in context.parameters.items()}


class ForgetsBias(ScalingCompressor):
    def compress(self, context, amounts):
        for parameters in super().compress(context, amounts):
            yield {"weight": parameters["weight"]}


class Flattens(ScalingCompressor):
    def compress(self, context, amounts):
        for parameters in super().compress(context, amounts):
            yield {name: tensor.flatten() for name, tensor in parameters.items()}


class Widens(ScalingCompressor):
    def compress(self, context, amounts):
        for parameters in super().compress(context, amounts):
            yield {name: tensor.double() for name, tensor in parameters.items()}


class StopsEarly(ScalingCompressor):
    def compress(self, context, amounts):
        return super().compress(context, amounts[:-1])


class ReusesOneBuffer(ScalingCompressor):
    def compress(self, context, amounts):
        buffers = {name: torch.empty_like(tensor) for name, tensor in context.parameters.items()}
        for parameters in super().compress(context, amounts):
            for name, tensor in parameters.items():
                buffers[name].copy_(tensor)
            yield buffers


def with_amounts(*values):
    class Regridded(ScalingCompressor):
        def amounts(self, options):
            return np.array(values)

    return Regridded


@pytest.mark.parametrize("compressor", [ScalingCompressor, ReusesOneBuffer])
def test_conforming_compressor_passes(compressor):
    check_compressor(compressor(), build_context())


@pytest.mark.parametrize(
    ("compressor", "law"),
    [
        (Compounding, "each amount compresses the original: amount 0.5 alone differs"),
        (InPlace, "does not modify the context"),
        (ChangesAtZero, "amount 0 leaves the parameters unchanged"),
        (Random, "same context gives an equal result"),
        (ForgetsBias, r"keeps names, shapes and types \(amount 0\): names \['bias'\] differ"),
        (Flattens, r"keeps names, shapes and types \(amount 0\): weight has shape \(9,\)"),
        (Widens, r"keeps names, shapes and types \(amount 0\): weight has type torch.float64"),
        (StopsEarly, "yields once for each amount: 2 times for 3 amounts"),
        (with_amounts(0.1, 1.0), "amounts start at 0: 0.1"),
        (with_amounts(0.0, 0.5, 0.5), "amounts increase"),
        (with_amounts(0.0, 1.5), "amounts are at most 1: 1.5"),
        (with_amounts(), "amounts is a vector"),
    ],
)
def test_broken_law_is_named(compressor, law):
    with pytest.raises(ConformanceError, match=f"^{law}"):
        check_compressor(compressor(), build_context())
