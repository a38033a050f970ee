import math

import numpy as np
import pydantic
import pytest
import torch

from grokprobe.probes.fourier import FourierOptions, FourierProbe
from grokprobe.testing import FixedContext, check_probe
from grokprobe.variables import check_measurement
from reference import fourier as reference

P = 5


def native_parameters(p=P, hidden=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "input.weight": (hidden, 2 * p),
        "input.bias": (hidden,),
        "output.weight": (p, hidden),
        "output.bias": (p,),
    }
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def measure(parameters, constant=frozenset(), **options):
    context = FixedContext(parameters=parameters, constant=constant)
    return check_probe(FourierProbe(), context, FourierOptions(**{"period": P, **options}))


@pytest.mark.parametrize("basis", ["rfft", "fft", "sincos"])
@pytest.mark.parametrize("dc", ["keep", "drop"])
@pytest.mark.parametrize("halves", ["separate", "joint", "rollout"])
@pytest.mark.parametrize("p", [4, 5])
def test_conforms_with_every_option(basis, dc, halves, p):
    measurement = measure(native_parameters(p), period=p, basis=basis, dc=dc, halves=halves, spectrum=True)
    spectrum = measurement.values["spectrum"]
    longest = 2 * p if halves == "rollout" else p
    assert spectrum.shape[1] == (longest if basis == "fft" else longest // 2 + 1)
    assert measurement.coordinates["frequency"].values.tolist() == list(range(spectrum.shape[1]))


@pytest.mark.parametrize("p", [4, 5])
@pytest.mark.parametrize("basis", ["rfft", "fft", "sincos"])
def test_each_neuron_agrees_with_explicit_sums(basis, p):
    parameters = native_parameters(p)
    measurement = measure(parameters, period=p, basis=basis)
    inputs, outputs = parameters["input.weight"].tolist(), parameters["output.weight"].T.tolist()
    neurons = [row[:p] for row in inputs] + [row[p:] for row in inputs] + outputs
    expected = [reference.ipr(reference.MODE_POWERS[basis](neuron)) for neuron in neurons]
    np.testing.assert_allclose(measurement.values["ipr"], expected, rtol=1e-10)
    np.testing.assert_allclose(measurement.values["ipr_mean"], np.reshape(expected, (3, 6)).mean(axis=1), rtol=1e-10)


def test_joint_adds_the_powers_of_the_halves_and_rollout_transforms_them_as_one():
    parameters = native_parameters()
    rows = parameters["input.weight"].tolist()
    powers = [(reference.folded_powers(row[:P]), reference.folded_powers(row[P:])) for row in rows]
    joint = [reference.ipr([a + b for a, b in zip(*pair, strict=True)]) for pair in powers]
    rollout = [reference.ipr(reference.folded_powers(row)) for row in rows]
    for halves, expected in (("joint", joint), ("rollout", rollout)):
        measurement = measure(parameters, halves=halves)
        assert measurement.coordinates["layer"].values.tolist() == ["input", "output"]
        np.testing.assert_allclose(measurement.values["ipr"][:6], expected, rtol=1e-10)


def test_neurons_are_labelled_in_the_order_of_the_file_a_before_b():
    coordinates = measure(native_parameters()).coordinates
    assert coordinates["layer"].values.tolist() == ["input_a", "input_b", "output"]
    assert coordinates["neuron_layer"].values.tolist() == ["input_a"] * 6 + ["input_b"] * 6 + ["output"] * 6
    assert coordinates["neuron_index"].values.tolist() == list(range(6)) * 3


def test_several_other_axes_are_flattened_in_c_order():
    weights = torch.randn(2, P, 3, generator=torch.Generator().manual_seed(0))
    ipr = measure({"kernel": weights}).values["ipr"]
    expected = reference.ipr(reference.folded_powers(weights[1, :, 2].tolist()))
    assert ipr[5] == pytest.approx(expected)


def test_dead_neuron_has_no_ipr_and_is_left_out_of_the_mean():
    parameters = native_parameters()
    parameters["output.weight"][:, 2] *= 1e-6
    measurement = measure(parameters)
    output = measurement.values["ipr"][12:]
    assert np.isnan(output).tolist() == [False, False, True, False, False, False]
    assert measurement.values["ipr_mean"][2] == pytest.approx(np.nanmean(output))
    assert measurement.values["dead_fraction"].tolist() == [0, 0, pytest.approx(1 / 6)]
    assert not np.isnan(measure(parameters, dead_threshold=0.0).values["ipr"]).any()


def test_layer_of_zeros_is_dead_and_has_no_mean():
    measurement = measure({"W": torch.zeros(3, P)}, spectrum=True)
    assert measurement.values["dead_fraction"].tolist() == [1]
    assert np.isnan(measurement.values["ipr_mean"]).all()
    assert (measurement.values["spectrum"] == 0).all()


def test_weight_that_is_not_finite_costs_its_own_neuron():
    parameters = native_parameters()
    parameters["output.weight"][0, 2] = math.nan
    measurement = measure(parameters)
    assert np.isnan(measurement.values["ipr"]).nonzero()[0].tolist() == [14]
    assert measurement.values["dead_fraction"].tolist() == [0, 0, 0]
    assert np.isfinite(measurement.values["ipr_mean"]).all()


def test_spectrum_sums_to_the_squared_norm_and_is_nan_where_a_layer_has_no_such_mode():
    parameters = native_parameters()
    spectrum = measure(parameters, halves="rollout", spectrum=True).values["spectrum"]
    np.testing.assert_allclose(spectrum[:6].sum(axis=1), parameters["input.weight"].double().square().sum(1))
    np.testing.assert_allclose(spectrum[6:, :3].sum(axis=1), parameters["output.weight"].double().square().sum(0))
    assert np.isnan(spectrum[6:, 3:]).all()


def test_spectrum_is_stored_on_request_only():
    assert "spectrum" not in measure(native_parameters()).values
    probe, options = FourierProbe(), FourierOptions(spectrum=True, period=P)
    measurement = probe.measure(FixedContext(parameters=native_parameters(), options=options))
    assert check_measurement(probe.variables(options), measurement)["spectrum"].shape == (18, 3)


@pytest.mark.parametrize(
    "wrong",
    [{"basis": "dct"}, {"dead_threshold": 1.0}, {"dead_threshold": -0.1}, {"period": 1}, {"period": "5"}, {"x": 1}],
)
def test_refuses_wrong_options(wrong):
    with pytest.raises(pydantic.ValidationError):
        FourierOptions(**wrong)
