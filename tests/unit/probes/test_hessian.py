import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from grokprobe.errors import UsageError
from grokprobe.interfaces import Requirement, Samples
from grokprobe.probes.hessian import HessianOptions, HessianProbe
from grokprobe.testing import FixedContext, check_probe
from reference.hessian import dense_hessian
from unit.testing.miniature import Doubling

TASK = Doubling()
#: Enough for comparisons.
FEW = {"num_iterations": 8, "num_probes": 4}


def build_mlp():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))


def build_convolution():
    return nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(2, 3)
    )


def build_case(build=build_mlp, num_samples=30, seed=0, **given):
    generator = torch.Generator().manual_seed(seed)
    model = build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    samples = Samples(
        inputs=torch.randn(num_samples, 3, generator=generator),
        targets=torch.randint(0, 3, (num_samples,), generator=generator),
    )
    parameters = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    return FixedContext(parameters=parameters, model=model, task=TASK, train_samples=samples, **given)


def dense(context):
    samples = context.train_samples
    doubled = Samples(inputs=samples.inputs.double(), targets=samples.targets)
    hessian = dense_hessian(TASK, context.model.double(), doubled)
    context.model.float()
    return hessian


def exact_options(context, **given):
    num_parameters = sum(tensor.numel() for tensor in context.parameters.values())
    return HessianOptions(num_eigenvalues=num_parameters, num_iterations=num_parameters, precision="float64", **given)


@pytest.mark.parametrize("build", [build_mlp, build_convolution])
def test_agrees_with_the_dense_hessian(build):
    context = build_case(build)
    hessian = dense(context)
    expected = torch.linalg.eigvalsh(hessian).flip(0).numpy()
    values = check_probe(HessianProbe(), context, exact_options(context, num_probes=30)).values
    np.testing.assert_allclose(values["eigenvalue"], expected, atol=1e-10 * np.abs(expected).max())
    assert values["eigenvalue_error"].max() < 1e-9 * np.abs(expected).max()
    assert values["smallest_eigenvalue"] == values["eigenvalue"][-1]
    trace, error = hessian.trace().item(), values["trace_error"].item()
    assert 0 < error < 0.5 * abs(trace)
    assert abs(values["trace"].item() - trace) < 4 * error


def test_agrees_with_the_hessian_of_torch():
    context = build_case()
    double = {name: tensor.double() for name, tensor in context.parameters.items()}
    inputs = context.train.inputs.double()

    def loss(weights):
        return TASK.loss(context.apply({**double, "2.weight": weights}, inputs), context.train.targets)

    block = torch.autograd.functional.hessian(loss, double["2.weight"]).reshape(12, 12)
    constant = frozenset(double) - {"2.weight"}
    alone = build_case(constant=constant)
    options = HessianOptions(num_eigenvalues=12, num_iterations=12, precision="float64")
    values = check_probe(HessianProbe(), alone, options).values
    expected = torch.linalg.eigvalsh(block).flip(0).numpy()
    np.testing.assert_allclose(values["eigenvalue"], expected, atol=1e-12)


def test_error_bars_hold_the_truth_after_few_iterations():
    context = build_case(num_samples=6)
    expected = torch.linalg.eigvalsh(dense(context)).numpy()
    options = HessianOptions(num_eigenvalues=4, num_iterations=6, precision="float64")
    values = check_probe(HessianProbe(), context, options).values
    distances = np.abs(values["eigenvalue"][:, None] - expected).min(axis=1)
    assert (distances <= values["eigenvalue_error"] + 1e-12).all()
    assert values["eigenvalue_error"].max() > 1e-6  # not converged, and said
    assert np.abs(values["smallest_eigenvalue"] - expected).min() <= values["smallest_eigenvalue_error"] + 1e-12


@pytest.mark.parametrize(("precision", "tolerance"), [("file", 1e-6), ("float64", 1e-13)])
def test_another_split_into_batches_changes_rounding_only(precision, tolerance):
    whole, parts = (
        HessianProbe().measure(build_case(options=HessianOptions(**FEW, precision=precision, batch_size=size))).values
        for size in (1024, 13)
    )
    largest = whole["eigenvalue"][0]
    for name in ("eigenvalue", "trace", "trace_error"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=tolerance, atol=tolerance * largest)


def test_the_precision_of_the_file_is_near_float64():
    single, double = (
        HessianProbe().measure(build_case(options=HessianOptions(**FEW, precision=precision))).values
        for precision in ("file", "float64")
    )
    np.testing.assert_allclose(single["eigenvalue"], double["eigenvalue"], rtol=1e-5)
    assert not np.array_equal(single["eigenvalue"], double["eigenvalue"])


def test_more_eigenvalues_than_parameters_are_undefined():
    context = build_case(lambda: nn.Linear(3, 3), constant=frozenset({"weight"}))
    measurement = check_probe(HessianProbe(), context, HessianOptions(num_eigenvalues=5))
    assert measurement.coordinates["rank"].values.tolist() == [1, 2, 3, 4, 5]
    assert np.isnan(measurement.values["eigenvalue"]).tolist() == [False, False, False, True, True]
    assert abs(measurement.values["smallest_eigenvalue"]) < 1e-7  # adding one number to all logits changes nothing


def test_parameters_that_are_not_finite_are_undefined():
    context = build_case()
    context.parameters["0.weight"][0, 0] = math.nan
    for values in check_probe(HessianProbe(), context).values.values():
        assert np.isnan(values).all()


def test_needs_a_task_samples_and_enough_iterations():
    subject = FixedContext(parameters={"weight": torch.ones(2, 2)}).subject
    assert HessianProbe().applies(subject, HessianOptions()).reason == "no task says what the loss is"
    assert HessianProbe.requires == {Requirement.MODEL, Requirement.TRAIN_SPLIT}
    empty = build_case(num_samples=0, options=HessianOptions())
    with pytest.raises(UsageError, match="expected a task and training samples"):
        HessianProbe().measure(empty)
    with pytest.raises(ValidationError, match="at least num_eigenvalues, found 3 and 5"):
        HessianOptions(num_iterations=3)
