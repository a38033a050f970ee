import pytest
import torch

from grokprobe.context import Network
from grokprobe.errors import UsageError
from grokprobe.numerics import fisher as module
from grokprobe.numerics.attention import differentiable_attention
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.layer_trace import PlainFunction
from grokprobe.numerics.output_fisher import IdentityFisher, empirical_fisher, exact_fisher
from reference import fisher as reference
from unit.numerics.fisher_networks import CASES, Case

#: Variant → what it is for a case, and the dense matrix.
VARIANTS = {
    "exact": (lambda case: exact_fisher("categorical"), lambda case, *given: reference.categorical_matrix(*given)),
    "regression": (lambda case: IdentityFisher(), lambda case, *given: reference.regression_matrix(*given)),
    "empirical": (
        lambda case: empirical_fisher("categorical", case.labels),
        lambda case, *given: reference.empirical_matrix(*given, case.labels),
    ),
}


def assert_equal_diagonals(found, expected, rtol=1e-10):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == torch.float64
        torch.testing.assert_close(found[name], values, rtol=rtol, atol=rtol * values.abs().max().item())


def unflatten(vector, parameters):
    parts = vector.split([tensor.numel() for tensor in parameters.values()])
    return {name: part.reshape(parameters[name].shape) for name, part in zip(parameters, parts, strict=True)}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", CASES)
def test_closed_forms_and_single_samples_agree_with_the_dense_matrix(name, variant):
    case = Case(name)
    build, build_matrix = VARIANTS[variant]
    with differentiable_attention():
        matrix = build_matrix(case, case.apply, case.parameters, case.inputs)
    expected = unflatten(matrix.diagonal(), case.parameters)
    fisher = build(case)
    assert_equal_diagonals(compute_fisher_diagonal(case.network, case.parameters, case.inputs, fisher), expected)
    plain = PlainFunction(apply=case.apply)
    assert_equal_diagonals(compute_fisher_diagonal(plain, case.parameters, case.inputs, fisher), expected)


@pytest.mark.parametrize("name", ["deep_mlp", "cnn", "positions"])
def test_batches_change_nothing_but_rounding(name, monkeypatch):
    case = Case(name)
    fisher = empirical_fisher("categorical", case.labels)
    whole = compute_fisher_diagonal(case.network, case.parameters, case.inputs, fisher)
    monkeypatch.setattr(module, "BATCH_NUMBERS", 1)
    monkeypatch.setattr("grokprobe.numerics.sample_gradients.BLOCK_NUMBERS", 1)
    assert_equal_diagonals(compute_fisher_diagonal(case.network, case.parameters, case.inputs, fisher), whole, 1e-12)


def test_inputs_that_are_mostly_zero_change_nothing_but_rounding(monkeypatch):
    case = Case("mlp")
    inputs = torch.eye(6, dtype=torch.float64)[:4] * torch.tensor([[1.0], [2.0], [0.0], [-1.0]], dtype=torch.float64)
    dense = compute_fisher_diagonal(case.network, case.parameters, inputs, exact_fisher("categorical"))
    monkeypatch.setattr("grokprobe.numerics.layer_squares.SPARSITY", 6)
    sparse = compute_fisher_diagonal(case.network, case.parameters, inputs, exact_fisher("categorical"))
    assert_equal_diagonals(sparse, dense, 1e-12)


def test_gaussian_likelihood_is_regression():
    case = Case("mlp")
    one, other = (
        compute_fisher_diagonal(case.network, case.parameters, case.inputs, fisher)
        for fisher in (exact_fisher("gaussian"), IdentityFisher())
    )
    assert_equal_diagonals(one, other)


def test_single_precision_is_kept_for_the_network_and_not_for_the_sums():
    case = Case("cnn", num_samples=40)
    single = {name: tensor.float() for name, tensor in case.parameters.items()}
    found = compute_fisher_diagonal(case.network, single, case.inputs.float(), exact_fisher("categorical"))
    double = {name: tensor.double() for name, tensor in single.items()}
    exact = compute_fisher_diagonal(case.network, double, case.inputs, exact_fisher("categorical"))
    assert_equal_diagonals(found, exact, rtol=1e-5)


def test_only_what_is_wanted_is_computed():
    case = Case("positions")
    everything = compute_fisher_diagonal(case.network, case.parameters, case.inputs, IdentityFisher())
    wanted = ["net.norm.bias", "net.out.weight"]
    some = compute_fisher_diagonal(case.network, case.parameters, case.inputs, IdentityFisher(), names=wanted)
    assert_equal_diagonals(some, {name: everything[name] for name in wanted})


def test_unwanted_biases_do_not_cost_the_closed_forms(monkeypatch):
    case = Case("deep_mlp")
    everything = compute_fisher_diagonal(case.network, case.parameters, case.inputs, IdentityFisher())
    monkeypatch.setattr(module, "collect_sample_gradients", None)
    wanted = [name for name in case.parameters if name.endswith("weight")]
    some = compute_fisher_diagonal(case.network, case.parameters, case.inputs, IdentityFisher(), names=wanted)
    assert_equal_diagonals(some, {name: everything[name] for name in wanted})


def test_buffers_and_unused_tensors_have_no_information():
    case = Case("odd_cnn")
    parameters = {**case.parameters, "extra": torch.ones(2, dtype=torch.float64)}
    found = compute_fisher_diagonal(case.network, parameters, case.inputs, IdentityFisher())
    for name in ("net.1.running_mean", "net.1.running_var", "extra"):
        assert not found[name].any(), name


def test_one_tensor_under_two_names_is_one_parameter():
    layers = torch.nn.Sequential(torch.nn.Linear(3, 3, bias=False), torch.nn.Tanh(), torch.nn.Linear(3, 3, bias=False))
    network = Network(module=layers.double().eval(), mapping={"0.weight": "tied", "2.weight": "tied"})
    generator = torch.Generator().manual_seed(0)
    parameters = {"tied": torch.randn(3, 3, generator=generator, dtype=torch.float64)}
    inputs = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    matrix = reference.categorical_matrix(network.apply, parameters, inputs)
    found = compute_fisher_diagonal(network, parameters, inputs, exact_fisher("categorical"))
    assert_equal_diagonals(found, {"tied": matrix.diagonal().reshape(3, 3)})


def test_certain_predictions_keep_their_relative_precision():
    weight = torch.tensor([[40.0, 1.0], [-20.0, 2.0], [0.0, 3.0]])
    network = Network(module=torch.nn.Linear(2, 3, bias=False), mapping={"weight": "w"})
    inputs = torch.ones(1, 2)
    found = compute_fisher_diagonal(network, {"w": weight}, inputs, exact_fisher("categorical"))["w"][:, 0]
    odds = (torch.tensor([41.0, -18.0, 3.0], dtype=torch.float64) - 41).exp()
    others = torch.stack([odds[1] + odds[2], odds[0] + odds[2], odds[0] + odds[1]])
    torch.testing.assert_close(found, odds * others / odds.sum() ** 2, rtol=1e-12, atol=0)
    assert found.max() < 1e-15


def test_not_finite_parameter_is_seen():
    case = Case("mlp")
    case.parameters["net.0.bias"][0] = torch.nan
    found = compute_fisher_diagonal(case.network, case.parameters, case.inputs, exact_fisher("categorical"))
    assert found["net.2.weight"].isnan().all()


def test_works_where_gradients_are_off_and_modifies_nothing():
    case = Case("mlp")
    before = {name: tensor.clone() for name, tensor in case.parameters.items()}
    with torch.no_grad():
        found = compute_fisher_diagonal(case.network, case.parameters, case.inputs, IdentityFisher())
    assert not any(tensor.requires_grad for tensor in [*found.values(), *case.parameters.values()])
    assert all(torch.equal(tensor, before[name]) for name, tensor in case.parameters.items())


def test_no_sample_is_refused():
    case = Case("mlp")
    with pytest.raises(UsageError, match="at least one sample, found none"):
        compute_fisher_diagonal(case.network, case.parameters, case.inputs[:0], IdentityFisher())
