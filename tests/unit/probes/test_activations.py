import numpy as np
import pytest
import torch
from torch import nn

from grokprobe.errors import UsageError
from grokprobe.interfaces import Samples
from grokprobe.probes import layer_outputs
from grokprobe.probes.activations import ActivationsOptions, ActivationsProbe
from grokprobe.testing import FixedContext, check_probe
from reference import representations as reference
from unit.probes.representation_networks import SAMPLES, Convolution, TwoLayers, layers_of, parameters_of


def context_of(network, parameters, samples=SAMPLES):
    return FixedContext(parameters=parameters, model=network, test_samples=samples)


def measure(network, parameters, options=None):
    return check_probe(ActivationsProbe(), context_of(network, parameters), options)


@pytest.mark.parametrize(
    ("network", "labels"), [(TwoLayers(), ["hidden", "output"]), (Convolution(), ["conv", "output"])]
)
def test_agrees_with_whole_layers(network, labels):
    parameters = parameters_of(network, 1)
    measurement = measure(network, parameters)
    assert measurement.coordinates["layer"].values.tolist() == labels
    layers = layers_of(network, parameters)
    ranks = [reference.effective_ranks(layer) for layer in layers]
    found = [measurement.values[name] for name in ("participation_ratio", "effective_rank")]
    np.testing.assert_allclose(np.transpose(found), ranks, rtol=1e-6)
    assert measurement.values["dead_fraction"][0] == (layers[0].max(axis=0) <= 0).mean()
    assert measurement.values["active_fraction"][0] == pytest.approx((layers[0] > 0).mean(), abs=1e-12)


def test_dead_units_are_counted_and_the_outputs_have_none():
    parameters = parameters_of(TwoLayers(), 1)
    parameters["hidden.bias"][:2] = -1e3
    parameters["hidden.weight"][2], parameters["hidden.bias"][2] = 0, 0
    values = measure(TwoLayers(), parameters).values
    assert values["dead_fraction"][0] == 3 / 5
    assert values["active_fraction"][0] < 2 / 5
    assert np.isnan([values["dead_fraction"][1], values["active_fraction"][1]]).all()


def test_one_direction_has_rank_one_and_none_has_no_rank():
    parameters = parameters_of(TwoLayers(), 1)
    parameters["hidden.weight"] = torch.outer(torch.arange(1.0, 6.0), torch.ones(6))
    parameters["output.weight"] = torch.zeros(3, 5)
    values = measure(TwoLayers(), parameters).values
    for name in ("participation_ratio", "effective_rank"):
        assert values[name][0] == pytest.approx(1, abs=1e-5)
        assert np.isnan(values[name][1])


def test_noise_of_the_forward_pass_is_no_direction():
    """A wide layer of rank two: float32 leaves hundreds of further singular values, at the rounding of the means."""
    network = TwoLayers(hidden=300)
    parameters = parameters_of(network, 1)
    parameters["hidden.weight"] = parameters["hidden.weight"][:, :2] @ parameters["hidden.weight"][:2]
    exact = SAMPLES.inputs.double() @ parameters["hidden.weight"].double().T
    expected = reference.effective_ranks((exact @ torch.linalg.svd(exact)[2][:2].T).numpy())[1]
    parameters["hidden.bias"] += 1000
    assert measure(network, parameters).values["effective_rank"][0] == pytest.approx(expected, rel=1e-5)


def test_layers_beyond_the_limit_have_no_ranks():
    network = Convolution()
    values = measure(network, parameters_of(network, 1), ActivationsOptions(max_units=11)).values
    for name in ("participation_ratio", "effective_rank"):
        assert np.isnan(values[name]).tolist() == [True, False]
    assert np.isfinite(values["dead_fraction"][0])


def test_batches_do_not_matter(monkeypatch):
    network = TwoLayers()
    parameters = parameters_of(network, 1)
    whole = measure(network, parameters).values
    monkeypatch.setattr(layer_outputs, "EVALUATION_BATCH", 7)
    for name, values in measure(network, parameters).values.items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-6)


class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, inputs):
        return self.layer(inputs.mean(dim=0, keepdim=True))


def test_networks_it_cannot_read_are_refused():
    options = ActivationsOptions()
    mixing = context_of(Mixing(), parameters_of(Mixing(), 1)).with_options(options)
    with pytest.raises(UsageError, match="layer layer: expected the first axis to be the 60 samples"):
        ActivationsProbe().measure(mixing)
    no_samples = Samples(inputs=SAMPLES.inputs[:0], targets=SAMPLES.targets[:0])
    empty = context_of(TwoLayers(), parameters_of(TwoLayers(), 1), no_samples).with_options(options)
    with pytest.raises(UsageError, match="found 0 samples and no such layer"):
        ActivationsProbe().measure(empty)
