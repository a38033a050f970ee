import dataclasses
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from grokprobe.errors import UsageError
from grokprobe.interfaces import Requirement, Samples, Subject
from grokprobe.testing import FixedContext, check_probe
from grokprobe_llc import LlcOptions, LlcProbe, grokprobe_probes
from known_coefficients import quadratic, quadratic_chain
from small_problems import Regression, convolution_context, linear_context, linear_curvatures

#: For networks with few parameters.
QUICK = {"num_burn_in": 20, "num_draws": 40, "num_chains": 3}


def measure(context, **options):
    return LlcProbe().measure(context.with_options(LlcOptions(**options)))


@pytest.mark.parametrize(
    "options",
    [
        QUICK,
        {**QUICK, "batch_size": 7, "trace": True, "gamma_rule": "norm"},
        {**QUICK, "sampler": "mala", "batch_size": "full", "trace": True},
        {**QUICK, "num_chains": 1, "only": ["5.weight"], "vectorise": False},
    ],
)
def test_probe_keeps_the_laws(options):
    measurement = check_probe(LlcProbe(), convolution_context(), LlcOptions(**options))
    assert math.isfinite(measurement.values["llc"])
    assert np.isnan(measurement.values["llc_error"]) == (options["num_chains"] == 1)
    assert measurement.values["diverged_fraction"] == 0


def test_linear_regression_is_worth_half_its_parameters():
    # n β h is at least 25 in every direction and γ = 0.1, so that only 0.3 % are lost to the localisation
    context = linear_context()
    options = {"gamma": 0.1, "num_chains": 8, "num_burn_in": 50, "num_draws": 400, "step_size": 12e-3}
    values = measure(context, sampler="mala", batch_size="full", **options).values
    loss_factor = 200 / math.log(200)
    expected = quadratic(linear_curvatures(context), loss_factor, 0.1)
    assert expected == pytest.approx(15 / 2, rel=0.01)
    assert values["llc_error"] < 0.03 * expected
    assert abs(values["llc"] - expected) < 4 * values["llc_error"]
    assert abs(values["llc_drift"]) < 6 * values["llc_error"]
    assert values["r_hat"] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("beta", [None, 0.5])
def test_default_sampler_has_its_exact_expectation(beta):
    context = linear_context()
    options = {"step_size": 2e-3, "gamma": 10.0, "num_burn_in": 30, "num_draws": 400, "num_chains": 8}
    values = measure(context, beta=beta, **options).values
    loss_factor = 200 * (1 / math.log(200) if beta is None else beta)
    expected = quadratic_chain(linear_curvatures(context).tolist(), loss_factor, 10.0, 2e-3, 30, 400)
    assert abs(values["llc"] - expected) < 4 * values["llc_error"] < 0.12 * expected


def test_minibatches_give_the_same_to_the_variance_of_their_gradients():
    context = linear_context()
    options = {"step_size": 1e-3, "gamma": 10.0, "num_burn_in": 80, "num_draws": 400, "num_chains": 8}
    values = measure(context, batch_size=100, **options).values
    expected = quadratic(linear_curvatures(context), 200 / math.log(200), 10.0)
    # a gradient has (1/100 − 1/200) of the variance of a sample's, about 1, and adds ε κ² / 4 of it to the unit noise
    # of a step, κ = 38: 0.2 %. The step size itself makes ε a / 4 with a at most 57: 1.4 %
    assert abs(values["llc"] - expected) < 4 * values["llc_error"] + 0.02 * expected


def test_trace_is_the_coefficient_before_the_mean():
    measurement = measure(linear_context(), trace=True, num_burn_in=5, num_draws=8, num_chains=2)
    coefficients = 200 / math.log(200) * measurement.values["trace"].mean(axis=1)
    np.testing.assert_allclose(measurement.values["llc_chain"], coefficients, rtol=1e-12)
    assert measurement.values["llc"] == pytest.approx(coefficients.mean(), rel=1e-12)
    assert measurement.coordinates["draw"].values.tolist() == [*range(6, 14)]
    assert measurement.coordinates["chain"].values.tolist() == [0, 1]


@pytest.mark.parametrize(
    "changes", [{"chains_at_once": 1}, {"vectorise": False}, {"samples_at_once": 13}, {"trace": True}]
)
def test_how_it_is_computed_is_no_part_of_the_seed(changes):
    assert repr(LlcOptions(**changes)) == repr(LlcOptions())  # what is shown of the options seeds the generator


@pytest.mark.parametrize("changes", [{"chains_at_once": 1}, {"vectorise": False}, {"samples_at_once": 13}])
def test_what_is_computed_at_once_changes_only_rounding(changes):
    context = linear_context()
    whole, parts = measure(context, **QUICK, batch_size=50), measure(context, **QUICK, batch_size=50, **changes)
    for name, values in whole.values.items():
        np.testing.assert_allclose(parts.values[name], values, rtol=1e-9)


def test_more_chains_begin_with_the_same_ones():
    few, many = (measure(linear_context(), **{**QUICK, "num_chains": number}).values["llc_chain"] for number in (2, 3))
    np.testing.assert_allclose(many[:2], few, rtol=1e-12)


def test_constant_tensors_and_running_statistics_are_not_sampled():
    context = convolution_context()
    all_weights = ["0.weight", "0.bias", "1.weight", "1.bias", "5.weight", "5.bias"]
    named = measure(context, **QUICK, only=all_weights)
    assert measure(context, **QUICK).values["llc"] == named.values["llc"]
    without_bias = measure(dataclasses.replace(context, constant=frozenset({"5.bias"})), **QUICK)
    assert without_bias.values["llc"] == measure(context, **QUICK, only=all_weights[:-1]).values["llc"]
    assert without_bias.values["llc"] != named.values["llc"]


def test_only_some_parameters_are_worth_half_their_number():
    context = linear_context()
    options = {"gamma": 0.1, "num_chains": 8, "num_burn_in": 50, "num_draws": 300, "step_size": 2e-2}
    values = measure(context, sampler="mala", batch_size="full", only=["bias"], **options).values
    assert abs(values["llc"] - 3 / 2) < 4 * values["llc_error"] < 0.2


def test_localisation_by_the_norm_of_each_tensor():
    context = linear_context()
    zero = {"weight": context.parameters["weight"], "bias": torch.zeros(3, dtype=torch.float64)}
    norm = float(torch.linalg.vector_norm(zero["weight"]))
    by_norm = measure(dataclasses.replace(context, parameters=zero), **QUICK, gamma_rule="norm", gamma=7.0)
    constant = measure(dataclasses.replace(context, parameters=zero), **QUICK, gamma=7.0 / norm, only=["weight"])
    np.testing.assert_allclose(by_norm.values["llc_chain"], constant.values["llc_chain"], rtol=1e-9)
    nothing = dataclasses.replace(context, parameters={name: 0 * tensor for name, tensor in zero.items()})
    with pytest.raises(UsageError, match="expects a tensor that is not zero"):
        measure(nothing, **QUICK, gamma_rule="norm")


def test_diverged_chains_are_undefined_and_counted():
    values = measure(linear_context(), step_size=10.0, num_burn_in=0, num_draws=100).values
    assert values["diverged_fraction"] == 1
    assert np.isnan(values["llc_chain"]).all()
    assert all(np.isnan(value).all() for name, value in values.items() if name != "diverged_fraction")


@pytest.mark.parametrize(("variant", "acceptance"), [("authors", False), ("mala", True)])
def test_variants_are_valid_options(variant, acceptance):
    options = LlcOptions(**LlcProbe.variants[variant])
    names = {spec.name for spec in LlcProbe().variables(options)}
    assert ("acceptance" in names) is acceptance


def test_authors_variant_is_what_their_code_is_reported_to_do():
    options = LlcOptions(**LlcProbe.variants["authors"])
    found = (options.gamma_rule, options.gamma, options.step_size, options.num_draws, options.num_chains)
    assert found == ("norm", 100, 1e-5, 100, 1)
    assert options.num_burn_in == 0


def test_adjustment_needs_all_samples():
    with pytest.raises(ValidationError, match="needs the loss over all samples"):
        LlcOptions(sampler="mala")
    with pytest.raises(ValidationError):
        LlcOptions(batch_size=0)


def test_does_not_apply_without_a_loss_or_a_weight():
    def reason(task=None, constant=frozenset(), **options):
        available = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
        subject = Subject(task=task, shapes={"weight": (2, 2)}, constant=constant, available=available)
        return LlcProbe().applies(subject, LlcOptions(**options)).reason

    assert reason() == "no task is known, so no loss"
    assert reason(Regression(), frozenset({"weight"})) == "no tensor is a weight"
    assert reason(Regression(), only=["wait"]) == "only: expected names among weight; found wait"
    assert reason(Regression()) == ""


def test_one_sample_has_no_temperature():
    context = linear_context()
    one = Samples(inputs=context.train_samples.inputs[:1], targets=context.train_samples.targets[:1])
    with pytest.raises(UsageError, match="expected at least 2 training samples, found 1"):
        measure(FixedContext(parameters=context.parameters, task=Regression(), train_samples=one), **QUICK)


def test_hook_provides_the_probe():
    assert [probe.name for probe in grokprobe_probes()] == ["llc"]
