import math

import numpy as np
import pytest
import torch

from grokprobe.interfaces import Requirement, Subject
from grokprobe.probes.weights import WeightsOptions, WeightsProbe
from grokprobe.testing import FixedContext, check_probe
from reference import weights as reference

SHAPES = {"conv.weight": (2, 3, 2, 2), "conv.bias": (2,), "out": (4, 5)}


def parameters_of(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def measure(parameters, constant=frozenset(), options=None):
    return check_probe(WeightsProbe(), FixedContext(parameters=parameters, constant=constant), options)


def applies(shapes, constant=frozenset()):
    subject = Subject(task=None, shapes=shapes, constant=constant, available=frozenset({Requirement.WEIGHTS}))
    return WeightsProbe().applies(subject, WeightsOptions())


def test_agrees_with_loops_on_matrices_and_kernels():
    parameters = parameters_of()
    measurement = measure(parameters)
    assert measurement.coordinates["layer"].values.tolist() == ["conv", "out"]
    matrices = [parameters["conv.weight"].reshape(2, 12).tolist(), parameters["out"].tolist()]
    expected = {
        "norm": [reference.frobenius_norm(matrix) for matrix in matrices],
        "gini": [reference.gini([abs(entry) for row in matrix for entry in row]) for matrix in matrices],
        "stable_rank": [reference.stable_rank(matrix) for matrix in matrices],
        "spectral_norm": [reference.spectral_norm(matrix) for matrix in matrices],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(measurement.values[name], values, rtol=1e-9)


def test_vectors_and_constant_tensors_are_no_layers():
    assert measure(parameters_of(), constant=frozenset({"out"})).coordinates["layer"].values.tolist() == ["conv"]
    assert applies(SHAPES, frozenset({"out"})).notices == ("out is left out: constant along the run, so not a weight",)
    assert applies(SHAPES).notices == ()


def test_without_a_matrix_it_does_not_apply():
    assert applies({"bias": (3,)}).reason == "no weight has two or more axes"
    assert applies({"W": (3, 4)}, frozenset({"W"})).reason.endswith(
        "W is left out: constant along the run, so not a weight"
    )


def test_zeros_have_norm_zero_and_no_ratios():
    values = measure({"W": torch.zeros(2, 3)}).values
    assert (values["norm"][0], values["spectral_norm"][0]) == (0, 0)
    assert np.isnan([values["gini"][0], values["stable_rank"][0]]).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_layer_that_is_not_finite_is_undefined_and_harms_no_other(value):
    parameters = parameters_of()
    parameters["conv.weight"][0, 0, 0, 0] = value
    for values in measure(parameters).values.values():
        assert np.isnan(values).tolist() == [True, False]


def test_spectrum_is_padded_with_nan_and_changes_nothing_else():
    parameters = parameters_of()
    measurement = measure(parameters, options=WeightsOptions(spectrum=True))
    spectrum = measurement.values["spectrum"]
    assert measurement.coordinates["rank"].values.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(spectrum[0, :2], np.linalg.svd(parameters["conv.weight"].reshape(2, 12).double())[1])
    np.testing.assert_allclose(spectrum[1], np.linalg.svd(parameters["out"].double())[1])
    assert np.isnan(spectrum[0, 2:]).all()
    plain = measure(parameters).values
    assert all(np.array_equal(plain[name], measurement.values[name]) for name in plain)


def test_rank_one_matrix_has_one_singular_value():
    outer = torch.outer(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0, 2.0]))
    values = measure({"W": outer}, options=WeightsOptions(spectrum=True)).values
    np.testing.assert_allclose(values["spectrum"], [[15, 0]], atol=1e-12)
    assert values["stable_rank"][0] == pytest.approx(1)


def test_spectrum_of_a_layer_that_is_not_finite_is_undefined():
    parameters = parameters_of()
    parameters["out"][0, 0] = math.nan
    spectrum = measure(parameters, options=WeightsOptions(spectrum=True)).values["spectrum"]
    assert np.isnan(spectrum).tolist() == [[False, False, True, True], [True] * 4]
