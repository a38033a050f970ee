"""What the core makes of a compressor."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch

from grokprobe.compressors.curve import CompressionCurve
from grokprobe.compressors.magnitude import MagnitudeCompressor
from grokprobe.compressors.quantize import QuantizeCompressor
from grokprobe.interfaces import Requirement
from grokprobe.testing import check_probe
from reference import compression as reference
from unit.compressors.compressed_networks import TEST, addition_context
from unit.testing.miniature import NoOptions, ScalingCompressor

NUMBERS = {"area", "compressibility", "compressibility_error", "amount_at_95", "amount_at_95_relative"}


class Reusing(ScalingCompressor):
    """Yields the same dictionary and tensors for every amount."""

    variants: Any = {"by_layer": {}, "other": {}}  # noqa: RUF012 - as a plugin would write it

    def compress(self, context, amounts):
        buffers = {name: torch.empty_like(tensor) for name, tensor in context.parameters.items()}
        for parameters in super().compress(context, amounts):
            for name, tensor in parameters.items():
                buffers[name].copy_(tensor)
            yield buffers


def measure(compressor: Any, **options: Any) -> Any:
    curve = CompressionCurve(compressor)
    return check_probe(curve, addition_context(), curve.options(**options))


def evaluate(parameters: Any) -> tuple[float, float]:
    """Loss and accuracy by the network itself."""
    context = addition_context()
    outputs = context.apply(parameters, TEST.inputs).double()
    loss = torch.nn.functional.cross_entropy(outputs, TEST.targets).item()
    return loss, (outputs.argmax(dim=1) == TEST.targets).double().mean().item()


def test_curve_is_loss_and_accuracy_of_each_compressed_network():
    measurement = measure(MagnitudeCompressor(), num_amounts=11)
    assert set(measurement.values) == {"accuracy", "loss", *NUMBERS}
    amounts = measurement.coordinates["amount"].values
    parameters = addition_context().parameters
    for place, amount in enumerate(amounts):
        pruned = dict(parameters)
        for name in ("input.weight", "output.weight"):
            flat = parameters[name].flatten().tolist()
            kept = reference.prune(flat, [abs(weight) for weight in flat], amount)
            pruned[name] = torch.tensor(kept).view(parameters[name].shape)
        found = (measurement.values["loss"][place], measurement.values["accuracy"][place])
        assert found == pytest.approx(evaluate(pruned), rel=1e-6)
    area = reference.area(amounts, measurement.values["accuracy"])
    assert measurement.values["area"] == pytest.approx(area)
    assert measurement.values["compressibility"] == pytest.approx(1 / (1 - area))


def test_by_layer_leaves_the_others_as_they_were():
    measurement = measure(MagnitudeCompressor(), num_amounts=3, by_layer=True)
    assert measurement.coordinates["layer"].values.tolist() == ["input", "output"]
    assert {name: values.shape for name, values in measurement.values.items()} == {
        **dict.fromkeys(("accuracy", "loss"), (2, 3)),
        **dict.fromkeys(NUMBERS, (2,)),
    }
    parameters = addition_context().parameters
    losses = set()
    for layer, name in enumerate(("input.weight", "output.weight")):
        flat = parameters[name].flatten().tolist()
        for place, amount in enumerate((0, 0.5, 1)):
            kept = reference.prune(flat, [abs(weight) for weight in flat], amount)
            loss, accuracy = evaluate({**parameters, name: torch.tensor(kept).view(parameters[name].shape)})
            assert measurement.values["loss"][layer, place] == pytest.approx(loss, rel=1e-6)
            assert measurement.values["accuracy"][layer, place] == accuracy
            losses.add(round(loss, 6))
    losses.add(round(float(measure(MagnitudeCompressor(), num_amounts=3).values["loss"][1]), 6))
    assert len(losses) == 5  # without either layer the outputs are the same, otherwise nothing is


@pytest.mark.parametrize("by_layer", [False, True])
def test_what_is_yielded_may_be_reused(by_layer):
    expected, found = (measure(compressor(), by_layer=by_layer).values for compressor in (ScalingCompressor, Reusing))
    assert all(np.array_equal(expected[name], found[name], equal_nan=True) for name in expected)


def test_labels_lie_along_the_amounts():
    measurement = measure(QuantizeCompressor())
    bits = measurement.coordinates["bits"]
    assert (bits.dim, bits.values[0], bits.values[-1]) == ("amount", 32, 0)
    assert len(measurement.values["accuracy"]) == len(bits.values) == 33


def test_options_variants_and_version_are_those_of_both():
    curve = CompressionCurve(MagnitudeCompressor())
    assert curve.options(scope="global", by_layer=True).model_dump()["by_layer"]
    assert curve.variants["by_layer"] == {"by_layer": True}
    assert curve.variants["global"] == {"scope": "global"}
    assert curve.version.startswith(f"{MagnitudeCompressor.version}+")
    assert curve.requires == {Requirement.WEIGHTS, Requirement.MODEL, Requirement.TEST_SPLIT}

    class Preset(ScalingCompressor):
        variants: Any = {"by_layer": {"depth": 2}}  # noqa: RUF012 - as a plugin would write it

        class options(NoOptions):  # noqa: N801 - the member's name
            depth: int = 1

    assert CompressionCurve(Preset()).variants == {"by_layer": {"by_layer": True, "depth": 2}}


def test_goes_to_other_processes():
    curve = CompressionCurve(MagnitudeCompressor())
    received, options = pickle.loads(pickle.dumps((curve, curve.options(scope="global"))))  # noqa: S301 - our own
    assert isinstance(options, received.options)
    assert (received.name, received.version, received.variants) == (curve.name, curve.version, curve.variants)


def test_without_a_task_it_does_not_apply():
    context = addition_context()
    curve = CompressionCurve(MagnitudeCompressor())
    subject = type(context.subject)(
        task=None, shapes=context.subject.shapes, constant=frozenset(), available=context.subject.available
    )
    assert curve.applies(subject, curve.options()).reason == "no task says what the loss is"
    assert not curve.applies(context.subject, curve.options()).reason
    vectors = type(subject)(task=context.subject.task, shapes={"b": (3,)}, constant=frozenset(), available=frozenset())
    assert curve.applies(vectors, curve.options()).reason == "no weight has two or more axes"


def test_compressibility_is_the_headline():
    for by_layer in (False, True):
        curve = CompressionCurve(MagnitudeCompressor())
        specs = curve.variables(curve.options(by_layer=by_layer))
        assert [spec.name for spec in specs if spec.headline] == ["compressibility"]
        assert all(("layer" in spec.dims) is by_layer for spec in specs)
