import numpy as np
import pytest
import torch
from torch import nn

from grokprobe.errors import UsageError
from grokprobe.interfaces import Requirement, Samples, Subject
from grokprobe.numerics.streams import build_generator
from grokprobe.testing import FixedContext, check_probe
from grokprobe_tasks.ising import energy
from grokprobe_tasks.ising.energy import EnergyOptions, EnergyProbe
from grokprobe_tasks.ising.network import ConvNetwork
from reference import correlation as reference

SIZE, CHANNELS, HIDDEN = 8, (2, 3), 5
LAYERS = ["conv1", "conv2", "hidden", "output"]
OF_UNITS = ("correlation", "partial_correlation")
NUM_UNITS = [2 * 8 * 8, 3 * 4 * 4, 5, 2]


class Spins:
    """As much of a task as the probe sees."""

    name = "spins"
    feature_names = ("energy", "magnetization", "abs_magnetization")

    def features(self, inputs):
        spins = inputs.flatten(start_dim=1).double()
        magnetization = spins.sum(dim=1)
        along = -(spins * spins.roll(1, dims=1)).sum(dim=1)
        return {"abs_magnetization": magnetization.abs(), "magnetization": magnetization, "energy": along}


class NoFeatures(Spins):
    name = "numbers"
    feature_names = ()


def draw_spins(num_samples, *shape, seed=0):
    """Spins with all magnetizations: each sample has a bias of its own."""
    generator = build_generator(seed)
    up = torch.rand(num_samples, *(1 for _ in shape), generator=generator)
    return (torch.rand(num_samples, *shape, generator=generator) < up).float() * 2 - 1


def build_network(seed=0):
    network = ConvNetwork(SIZE, CHANNELS, HIDDEN)
    generator = build_generator(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network


def context_of(network, inputs, task=None):
    return FixedContext(
        parameters={name: tensor.detach() for name, tensor in network.state_dict().items()},
        model=network,
        task=task or Spins(),
        test_samples=Samples(inputs=inputs, targets=torch.zeros(len(inputs), dtype=torch.int64)),
    )


def measure(network, inputs, options=None, task=None):
    return check_probe(EnergyProbe(), context_of(network, inputs, task), options)


def of_layer(measurement, variable, layer):
    """Values of one layer: a row for each of its units, or the one row of the layer."""
    along = "neuron_layer" if variable in OF_UNITS else "layer"
    return measurement.values[variable][measurement.coordinates[along].values == layer]


@torch.no_grad()
def pre_activations(network, inputs):
    """What each layer gives, written out: arrays (num_samples, num_units), float64."""
    conv1 = network.conv1(inputs)
    conv2 = network.conv2(nn.functional.max_pool2d(conv1.clamp(min=0), 2))
    hidden = network.hidden(nn.functional.max_pool2d(conv2.clamp(min=0), 2).flatten(1))
    output = network.output(hidden.clamp(min=0))
    return [layer.flatten(1).double().numpy() for layer in (conv1, conv2, hidden, output)]


def feature_columns(inputs):
    features = Spins().features(inputs)
    return np.column_stack([features[name].numpy() for name in Spins.feature_names])


def test_agrees_with_scipy_unit_by_unit():
    network, inputs = build_network(), draw_spins(60, 1, SIZE, SIZE)
    measurement = measure(network, inputs)
    features = feature_columns(inputs)
    for layer, units in zip(LAYERS, pre_activations(network, inputs), strict=True):
        plain = np.array(reference.correlation(units, features))
        partial = np.array(reference.partial_correlation(units, features))
        np.testing.assert_allclose(of_layer(measurement, "correlation", layer), plain, atol=1e-6)
        np.testing.assert_allclose(of_layer(measurement, "partial_correlation", layer), partial, atol=1e-5)
        check_summaries(measurement, layer, units, plain, partial)


def check_summaries(measurement, layer, units, plain, partial):
    weights = abs(units).sum(axis=0)
    best = [max(range(3), key=lambda feature, row=row: abs(row[feature])) for row in plain]
    share = [sum(w for w, b in zip(weights, best, strict=True) if b == feature) for feature in range(3)]
    weighted = np.array(reference.weighted_mean(abs(plain), weights))
    expected = {
        "weighted_correlation": weighted,
        "weighted_correlation_eq6": weighted / len(plain),
        "weighted_partial_correlation": reference.weighted_mean(abs(partial), weights),
        "best_feature_fraction": [best.count(feature) / len(best) for feature in range(3)],
        "activation_share": np.array(share) / weights.sum(),
        "constant_fraction": 0,
    }
    for variable, values in expected.items():
        np.testing.assert_allclose(of_layer(measurement, variable, layer)[0], values, atol=1e-5)


def test_coordinates_name_every_unit():
    coordinates = measure(build_network(), draw_spins(20, 1, SIZE, SIZE)).coordinates
    assert coordinates["layer"].values.tolist() == LAYERS
    assert coordinates["feature"].values.tolist() == ["energy", "magnetization", "abs_magnetization"]
    expected = [("conv1", c, r, k) for c in range(2) for r in range(8) for k in range(8)]
    expected += [("conv2", c, r, k) for c in range(3) for r in range(4) for k in range(4)]
    expected += [("hidden", -1, -1, -1)] * 5 + [("output", -1, -1, -1)] * 2
    along = [coordinates[name].values.tolist() for name in ("neuron_layer", "channel", "row", "column")]
    assert list(zip(*along, strict=True)) == expected
    indices = [index for count in NUM_UNITS for index in range(count)]
    assert coordinates["neuron_index"].values.tolist() == indices


def test_a_unit_that_is_the_magnetization():
    network, inputs = build_network(), draw_spins(50, 1, SIZE, SIZE)
    with torch.no_grad():
        network.conv1.weight.zero_()
        network.conv1.weight[:, 0, 1, 1] = torch.tensor([1.0, -1.0])  # after ReLU the positive and negative spins
        network.conv1.bias.zero_()
        inputs[:, 0] = inputs[:, 0, ::2, ::2].repeat_interleave(2, 1).repeat_interleave(2, 2)  # pooling loses nothing
        network.conv2.weight.zero_()
        network.conv2.weight[0, :, 1, 1] = 1.0
        network.conv2.weight[1, :, 1, 1] = torch.tensor([1.0, -1.0])
        network.conv2.bias.copy_(torch.tensor([0.5, 4.0, 0.5]))
    values = of_layer(measure(network, inputs), "correlation", "conv2").reshape(3, 16, 3)
    assert np.isnan(values[[0, 2]]).all()  # |spin| and a bias alone
    assert (values[1, :, 1] > 0.2).all()


@pytest.mark.parametrize("scale", [0.0, 1e-12])
def test_a_unit_that_is_only_its_bias_is_constant(scale):
    network = build_network()
    with torch.no_grad():
        network.conv1.weight[0] *= scale
        network.conv2.weight[1:] *= scale
        network.conv1.bias[0] = 0.1
    inputs = draw_spins(energy.EVALUATION_BATCH + 300, 1, SIZE, SIZE)
    measurement = measure(network, inputs)
    undefined = np.isnan(of_layer(measurement, "correlation", "conv1")).all(axis=1)
    assert undefined.tolist() == [True] * 64 + [False] * 64
    assert measurement.values["constant_fraction"].tolist() == [1 / 2, 2 / 3, 0, 0]
    np.testing.assert_allclose(
        of_layer(measurement, "weighted_correlation_eq6", "conv1"),
        of_layer(measurement, "weighted_correlation", "conv1") / 64,
    )
    for variable in ("weighted_correlation", "best_feature_fraction", "activation_share"):
        assert np.isfinite(measurement.values[variable]).all()


def test_noise_of_rounding_is_constant_and_the_threshold_is_an_option():
    network, inputs = build_network(), draw_spins(300, 1, SIZE, SIZE)
    with torch.no_grad():
        network.conv1.weight *= 1e-8
        network.conv1.bias.fill_(0.1)
    assert len(np.unique(pre_activations(network, inputs)[0])) > 1
    assert measure(network, inputs).values["constant_fraction"][0] == 1
    exact = measure(network, inputs, EnergyOptions(constant_threshold=0))
    assert exact.values["constant_fraction"][0] < 1


def test_tiny_units_that_vary_are_not_constant():
    network, inputs = build_network(), draw_spins(60, 1, SIZE, SIZE)
    expected = measure(network, inputs)
    with torch.no_grad():
        network.conv1.weight *= 2.0**-66
        network.conv1.bias *= 2.0**-66
    found = measure(network, inputs)
    assert found.values["constant_fraction"][0] == 0
    for variable in ("correlation", "partial_correlation", "weighted_correlation"):
        np.testing.assert_allclose(of_layer(found, variable, "conv1"), of_layer(expected, variable, "conv1"), atol=1e-6)


def test_a_layer_of_constant_units_is_undefined():
    network = build_network()
    with torch.no_grad():
        network.hidden.weight.zero_()
    measurement = measure(network, draw_spins(30, 1, SIZE, SIZE))
    assert measurement.values["constant_fraction"].tolist() == [0, 0, 1, 1]
    for name, values in measurement.values.items():
        if name.startswith(("weighted", "best", "activation")):
            assert np.isnan(values).all(axis=1).tolist() == [False, False, True, True]


def test_a_unit_that_is_not_finite_is_undefined_and_not_constant():
    network = build_network()
    with torch.no_grad():
        network.output.weight[1, 0] = torch.nan
    measurement = measure(network, draw_spins(30, 1, SIZE, SIZE))
    assert np.isnan(of_layer(measurement, "correlation", "output")).all(axis=1).tolist() == [False, True]
    assert measurement.values["constant_fraction"][-1] == 0
    np.testing.assert_allclose(
        of_layer(measurement, "weighted_correlation", "output"), abs(of_layer(measurement, "correlation", "output")[:1])
    )


def test_a_constant_feature_is_undefined_and_the_shares_of_the_others_sum_to_one():
    inputs = draw_spins(40, 1, SIZE, SIZE)
    magnetization = Spins().features(inputs)["magnetization"]
    inputs = torch.cat([inputs[magnetization > 0], -inputs[magnetization > 0]])
    inputs = inputs[Spins().features(inputs)["abs_magnetization"] == inputs[0].sum().abs()]
    values = measure(build_network(), inputs).values
    assert np.isnan(values["correlation"][:, 2]).all()
    for variable in ("best_feature_fraction", "activation_share"):
        assert np.isnan(values[variable][:, 2]).all()
        np.testing.assert_allclose(values[variable][:, :2].sum(axis=1), 1)


def test_batches_change_almost_nothing(monkeypatch):
    network, inputs = build_network(), draw_spins(100, 1, SIZE, SIZE)
    whole = measure(network, inputs).values
    monkeypatch.setattr(energy, "EVALUATION_BATCH", 7)
    batches = measure(network, inputs).values
    for name, values in whole.items():
        np.testing.assert_allclose(batches[name], values, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("convolution", "shape", "channels"),
    [
        (nn.Conv1d(1, 2, 3), (1, 5), [0, 0, 0, 1, 1, 1]),
        (nn.Conv3d(1, 2, 2), (1, 2, 2, 3), [0, 0, 1, 1]),
        (nn.Linear(3, 2), (2, 3), [-1, -1, -1, -1]),
    ],
)
def test_layers_without_rows_and_columns(convolution, shape, channels):
    coordinates = measure(nn.Sequential(convolution), draw_spins(30, *shape)).coordinates
    assert coordinates["channel"].values.tolist() == channels
    assert coordinates["row"].values.tolist() == coordinates["column"].values.tolist() == [-1] * len(channels)


class Twice(nn.Module):
    """Uses one convolution two times."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, inputs):
        return self.conv(self.conv(inputs).relu())


def test_a_layer_that_is_used_again_is_one_more():
    coordinates = measure(Twice(), draw_spins(30, 1, 2, 2)).coordinates
    assert coordinates["layer"].values.tolist() == ["conv", "conv#2"]
    assert coordinates["column"].values.tolist() == [0, 1, 0, 1] * 2


def test_where_it_applies():
    def reason(task):
        subject = Subject(task=task, shapes={}, constant=frozenset(), available=frozenset(Requirement))
        return EnergyProbe().applies(subject, EnergyOptions()).reason

    assert reason(Spins()) == ""
    assert reason(NoFeatures()) == "task numbers knows no energy of its inputs"
    assert reason(None) == "no task is known, so no energy of its inputs"


@pytest.mark.parametrize(
    ("network", "num_samples", "message"),
    [
        (nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (-1, 2)), nn.Linear(2, 2)), 6, "layer 2: expected the first"),
        (nn.Sequential(nn.BatchNorm2d(1)), 6, "found 6 samples and no such layer"),
        (build_network(), 0, "found 0 samples"),
    ],
)
def test_what_cannot_be_measured_is_said(network, num_samples, message):
    context = context_of(network, draw_spins(num_samples, 1, SIZE, SIZE)).with_options(EnergyOptions())
    with pytest.raises(UsageError, match=message):
        EnergyProbe().measure(context)
