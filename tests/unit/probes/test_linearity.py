import math

import numpy as np
import pytest
import torch
from torch import nn

from grokprobe.errors import UsageError
from grokprobe.interfaces import Requirement, Samples, Subject
from grokprobe.numerics.streams import build_generator
from grokprobe.probes import linearity
from grokprobe.probes.linearity import LinearityOptions, LinearityProbe
from grokprobe.testing import FixedContext, check_probe

NUM_INPUTS, NUM_CLASSES = 6, 3


class Classes:
    """As much of a task as the probe sees."""

    name = "classes"

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)

    def num_correct(self, outputs, targets):
        return int((outputs.argmax(dim=1) == targets).sum())


def draw(num_samples, seed):
    generator = build_generator(seed)
    return Samples(
        inputs=torch.randn(num_samples, NUM_INPUTS, generator=generator),
        targets=torch.randint(NUM_CLASSES, (num_samples,), generator=generator),
    )


TEST, TRAIN = draw(50, 0), draw(20, 1)


def build(*layers, seed=2):
    network = nn.Sequential(*layers)
    generator = build_generator(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return network


def relu_network():
    return build(nn.Linear(NUM_INPUTS, 8), nn.ReLU(), nn.Linear(8, NUM_CLASSES))


def context_of(network, **given):
    return FixedContext(
        parameters={name: tensor.detach() for name, tensor in network.state_dict().items()},
        model=network,
        **({"task": Classes(), "test_samples": TEST, "train_samples": TRAIN} | given),
    )


def measure(network, **options):
    return check_probe(LinearityProbe(), context_of(network), LinearityOptions(**options))


def in_one_batch(network, samples):
    """f(x) and f(−x) in float64."""
    with torch.no_grad():
        return network(samples.inputs).double(), network(-samples.inputs).double()


def expected_of(outputs, targets):
    loss = -outputs.log_softmax(dim=1)[torch.arange(len(targets)), targets].mean().item()
    accuracy = (outputs.argmax(dim=1) == targets).double().mean().item()
    return loss, accuracy, outputs.square().sum(dim=1).mean().sqrt().item()


@pytest.mark.parametrize(("split", "samples"), [("test", TEST), ("train", TRAIN)])
def test_both_forms_agree_with_one_batch(split, samples):
    network = relu_network()
    f, mirrored = in_one_batch(network, samples)
    forms = {
        "half": {"full": f, "odd": (f - mirrored) / 2, "even": (f + mirrored) / 2},
        "authors": {"full": f, "linear": -mirrored, "non_linear": f + mirrored},
    }
    for form, components in forms.items():
        measurement = measure(network, form=form, split=split)
        assert measurement.coordinates["component"].values.tolist() == list(components)
        found = [measurement.values[name] for name in ("loss", "accuracy", "norm")]
        expected = [expected_of(outputs, samples.targets) for outputs in components.values()]
        np.testing.assert_allclose(np.transpose(found), expected, rtol=1e-6)
        even, odd = ((f + sign * mirrored).square().sum() for sign in (1, -1))
        assert measurement.values["even_fraction"] == pytest.approx((even / (even + odd)).item())


def test_a_linear_network_has_no_even_part():
    values = measure(build(nn.Linear(NUM_INPUTS, 8, bias=False), nn.Linear(8, NUM_CLASSES, bias=False))).values
    assert (values["even_fraction"], values["norm"][2]) == (0, 0)
    assert values["loss"][0] == values["loss"][1]
    assert values["loss"][2] == pytest.approx(math.log(NUM_CLASSES))


def test_a_network_of_magnitudes_has_no_odd_part():
    class Magnitude(nn.Module):
        def forward(self, inputs):
            return inputs.abs()

    values = measure(build(Magnitude(), nn.Linear(NUM_INPUTS, NUM_CLASSES))).values
    assert (values["even_fraction"], values["norm"][1]) == (1, 0)


def test_a_network_of_zeros_has_no_even_fraction():
    network = relu_network()
    with torch.no_grad():
        network[2].weight.zero_()
        network[2].bias.zero_()
    values = measure(network).values
    assert np.isnan(values["even_fraction"])
    assert values["norm"].tolist() == [0, 0, 0]


def test_batches_do_not_matter(monkeypatch):
    network = relu_network()
    whole = measure(network).values
    monkeypatch.setattr(linearity, "EVALUATION_BATCH", 7)
    for name, values in measure(network).values.items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-6)


def test_applies_with_a_task_only_and_refuses_indices():
    needs = LinearityProbe.requires
    assert needs == {Requirement.MODEL, Requirement.TRAIN_SPLIT, Requirement.TEST_SPLIT}
    subject = Subject(task=None, shapes={}, constant=frozenset(), available=needs)
    assert LinearityProbe().applies(subject, LinearityOptions()).reason == "no task says what the loss is"
    indices = Samples(inputs=torch.zeros(4, 2, dtype=torch.int64), targets=torch.zeros(4, dtype=torch.int64))
    context = context_of(relu_network(), test_samples=indices, options=LinearityOptions())
    with pytest.raises(UsageError, match=r"found classes with inputs of type torch\.int64"):
        LinearityProbe().measure(context)
