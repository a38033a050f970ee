import numpy as np
import pytest
import torch

from grokprobe.testing import ConformanceError, check_compressor
from grokprobe.variables import Coordinate
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


class Labelled(ScalingCompressor):
    def labels(self, options):
        return {"percent": Coordinate(dim="amount", values=np.array([0, 50, 100]))}


class LabelsElsewhere(ScalingCompressor):
    def labels(self, options):
        return {"percent": Coordinate(dim="layer", values=np.array([0, 50, 100]))}


class LabelsTooFew(ScalingCompressor):
    def labels(self, options):
        return {"percent": Coordinate(dim="amount", values=np.array([0, 100]))}


class LabelsTheAmount(ScalingCompressor):
    def labels(self, options):
        return {"amount": Coordinate(dim="amount", values=np.array([0, 50, 100]))}


class LabelsAnew(ScalingCompressor):
    num_calls = 0

    def labels(self, options):
        self.num_calls += 1
        return {"percent": Coordinate(dim="amount", values=np.arange(3) + self.num_calls)}


def with_parts(**parts):
    class Parted(ScalingCompressor):
        def parts(self, subject, options):
            return parts

    return Parted


class PartsAnew(ScalingCompressor):
    num_calls = 0

    def parts(self, subject, options):
        self.num_calls += 1
        return {f"all {self.num_calls}": ("weight", "bias")}


def with_amounts(*values):
    class Regridded(ScalingCompressor):
        def amounts(self, options):
            return np.array(values)

    return Regridded


@pytest.mark.parametrize("compressor", [ScalingCompressor, ReusesOneBuffer, Labelled])
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
        (LabelsElsewhere, "labels lie along the amounts: percent lies along layer"),
        (LabelsTooFew, "labels stand one at each amount: percent has 2 for 3"),
        (LabelsTheAmount, "labels are further ones"),
        (LabelsAnew, "labels are the same twice: percent"),
        (with_parts(), "there is a part where it applies"),
        (with_parts(both=("weight", "bias"), none=()), r"parts have parameters: \['none'\] have none"),
        (with_parts(all=("weight", "bias", "scale")), r"parts name parameters of the subject: \['scale'\] are none"),
        (with_parts(a=("weight", "bias"), b=("bias",)), r"parts have no parameter in common: \['bias'\] are in two"),
        (with_parts(a=("weight",)), r"parts are all that changes: \['bias'\] changed at amount 0.5, in no part"),
        (PartsAnew, "parts are the same twice"),
    ],
)
def test_broken_law_is_named(compressor, law):
    with pytest.raises(ConformanceError, match=f"^{law}"):
        check_compressor(compressor(), build_context())
