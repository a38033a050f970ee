import pytest
import torch

from grokprobe.errors import UsageError
from grokprobe.numerics import fisher_gram as module
from grokprobe.numerics.attention import differentiable_attention
from grokprobe.numerics.fisher_gram import compute_diagonal_gram, compute_fisher_gram
from grokprobe.numerics.layer_trace import PlainFunction
from grokprobe.numerics.output_fisher import IdentityFisher, empirical_fisher, exact_fisher
from reference import fisher as reference
from unit.numerics.fisher_networks import CASES, Case

EXACT = exact_fisher("categorical")


def dense_gram(matrix, tangents):
    vectors = torch.stack([reference.flatten(tangent) for tangent in tangents])
    return vectors @ matrix @ vectors.T


@pytest.mark.parametrize("name", CASES)
def test_jacobian_vector_products_agree_with_the_dense_matrix(name):
    case = Case(name)
    tangents = case.draw_tangents(3)
    given = (case.apply, case.parameters, case.inputs)
    with differentiable_attention():
        matrices = {
            EXACT: reference.categorical_matrix(*given),
            IdentityFisher(): reference.regression_matrix(*given),
            empirical_fisher("categorical", case.labels): reference.empirical_matrix(*given, case.labels),
        }
    for fisher, matrix in matrices.items():
        found = compute_fisher_gram(case.network, case.parameters, tangents, case.inputs, fisher)
        torch.testing.assert_close(found, dense_gram(matrix, tangents), rtol=1e-9, atol=1e-12)


def test_half_the_squared_norm_is_the_divergence_of_a_short_step():
    case = Case("mlp")
    (tangent,) = case.draw_tangents(1)
    step = {name: 1e-4 * tensor for name, tensor in tangent.items()}
    moved = {name: tensor + step[name] for name, tensor in case.parameters.items()}
    before, after = (case.apply(own, case.inputs).log_softmax(dim=1) for own in (case.parameters, moved))
    divergence = (before.exp() * (before - after)).sum(dim=1).mean()
    gram = compute_fisher_gram(case.network, case.parameters, [step], case.inputs, EXACT)
    assert gram.item() / 2 == pytest.approx(divergence.item(), rel=1e-3)


def test_batches_change_nothing_but_rounding(monkeypatch):
    case = Case("cnn", num_samples=7)
    fisher, tangents = empirical_fisher("categorical", case.labels), case.draw_tangents(2)
    whole = compute_fisher_gram(case.network, case.parameters, tangents, case.inputs, fisher)
    monkeypatch.setattr(module, "GRAM_BATCH", 3)
    parts = compute_fisher_gram(case.network, case.parameters, tangents, case.inputs, fisher)
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=0)


def test_certain_predictions_keep_their_relative_precision():
    case = Case("mlp")
    last = case.parameters["net.2.bias"]
    case.parameters["net.2.bias"] = last + torch.tensor([200.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    tangents = [{"net.2.bias": row} for row in torch.eye(5, dtype=torch.float64)]
    found = compute_fisher_gram(case.network, case.parameters, tangents, case.inputs, EXACT)
    logs = case.apply(case.parameters, case.inputs).log_softmax(dim=1)
    expected = logs[:, 1:].exp().mean(dim=0)  # p (1 − p) of the unlikely labels
    assert 0 < expected.max() < 1e-60
    torch.testing.assert_close(found.diagonal()[1:], expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(found[0], -torch.cat([-expected.sum().reshape(1), expected]), rtol=1e-10, atol=0)


def test_missing_names_stay_where_they_are():
    case = Case("mlp")
    (tangent,) = case.draw_tangents(1)
    part = {"net.0.bias": tangent["net.0.bias"]}
    padded = {name: tensor if name in part else torch.zeros_like(tensor) for name, tensor in tangent.items()}
    one, other = (
        compute_fisher_gram(case.network, case.parameters, [given], case.inputs, EXACT) for given in (part, padded)
    )
    assert one.item() == pytest.approx(other.item(), rel=1e-12)
    weights = {name: tensor.abs() for name, tensor in case.parameters.items()}
    assert compute_diagonal_gram(weights, [part]).item() == pytest.approx(
        compute_diagonal_gram(weights, [padded]).item(), rel=1e-12
    )


def test_network_may_be_built_when_it_is_first_evaluated():
    built = []

    def apply(own, inputs):
        if not built:
            built.append(torch.nn.Linear(2, 2))  # draws random numbers
        return torch.func.functional_call(built[0], dict(own), (inputs,))

    own = {"weight": torch.eye(2), "bias": torch.zeros(2)}
    gram = compute_fisher_gram(PlainFunction(apply=apply), own, [own], torch.ones(1, 2), IdentityFisher())
    assert gram.item() == pytest.approx(2)


def test_without_tangents_the_gram_is_empty():
    case = Case("mlp")
    assert compute_fisher_gram(case.network, case.parameters, [], case.inputs, EXACT).shape == (0, 0)
    assert compute_diagonal_gram(case.parameters, []).shape == (0, 0)
    assert compute_diagonal_gram({}, [{}]).tolist() == [[0]]


def test_diagonal_gram_is_a_weighted_sum():
    weights = {"a": torch.tensor([2.0, 3.0]), "b": torch.tensor([[0.5]])}
    first = {"a": torch.tensor([1.0, -1.0]), "b": torch.tensor([[4.0]])}
    second = {"a": torch.tensor([2.0, 1.0]), "b": torch.tensor([[-1.0]])}
    expected = torch.tensor([[13.0, -1.0], [-1.0, 11.5]], dtype=torch.float64)
    torch.testing.assert_close(compute_diagonal_gram(weights, [first, second]), expected)


def test_no_sample_is_refused():
    case = Case("mlp")
    with pytest.raises(UsageError, match="at least one sample, found none"):
        compute_fisher_gram(case.network, case.parameters, case.draw_tangents(1), case.inputs[:0], EXACT)
