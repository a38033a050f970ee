import math

import pytest
import torch

from grokprobe.testing import FixedContext, check_probe
from grokprobe_template import KurtosisProbe, grokprobe_probes
from grokprobe_template.kurtosis import KurtosisOptions, compute_kurtosis


@pytest.fixture
def context():
    generator = torch.Generator().manual_seed(0)
    shapes = {"layer.weight": (8, 5), "layer.bias": (8,)}
    return FixedContext(parameters={name: torch.randn(shape, generator=generator) for name, shape in shapes.items()})


@pytest.mark.parametrize("options", [None, KurtosisOptions(biases=True)])
def test_probe_keeps_the_laws(context, options):
    check_probe(KurtosisProbe(), context, options)


def test_bias_is_a_layer_on_request(context):
    measurement = check_probe(KurtosisProbe(), context, KurtosisOptions(biases=True))
    assert measurement.coordinates["layer"].values.tolist() == ["layer.weight", "layer.bias"]


def test_does_not_apply_without_weights():
    subject = FixedContext(parameters={"bias": torch.ones(3)}).subject
    assert KurtosisProbe().applies(subject, KurtosisOptions()).reason


def test_uniform_distribution():
    assert compute_kurtosis(torch.linspace(-1, 1, 10001)) == pytest.approx(1.8, rel=1e-3)


def test_equal_weights_have_none():
    assert math.isnan(compute_kurtosis(torch.ones(4)))


def test_hook_provides_the_probe():
    assert [probe.name for probe in grokprobe_probes()] == ["kurtosis"]
