import pytest
import torch

from grokprobe.errors import UsageError
from grokprobe.numerics import fisher_directions
from grokprobe.numerics.fisher_directions import compute_fisher_directions
from grokprobe.numerics.layer_trace import PlainFunction
from grokprobe.numerics.output_fisher import IdentityFisher, exact_fisher
from grokprobe.numerics.parameter_vector import flatten

NETWORK = PlainFunction(apply=lambda own, x: torch.tanh(x @ own["in"]) @ own["out"])


def parameters_of(width):
    generator = torch.Generator().manual_seed(width)
    return {
        name: torch.randn(shape, generator=generator) for name, shape in {"in": (3, width), "out": (width, 2)}.items()
    }


def dense(parameters, inputs, weights=lambda outputs: torch.eye(2).double()):
    """The Fisher matrix sample by sample."""
    total = 0.0
    for sample in inputs:
        rows = []
        for output in range(2):
            own = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
            outputs = NETWORK.apply(own, sample.unsqueeze(0))
            rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(outputs[0, output], list(own.values()))]))
        jacobian = torch.stack(rows).double()
        total = total + jacobian.T @ weights(outputs.detach()[0].double()) @ jacobian
    return total / len(inputs)


@pytest.mark.parametrize("num_samples", [4, 40])  # the dual matrix is the smaller one, or not
@pytest.mark.parametrize("likelihood", [None, "categorical"])
def test_agrees_with_the_dense_matrix(num_samples, likelihood):
    parameters = parameters_of(4)
    inputs = torch.randn(num_samples, 3, generator=torch.Generator().manual_seed(9))
    output_fisher = IdentityFisher() if likelihood is None else exact_fisher(likelihood)
    found = compute_fisher_directions(NETWORK, parameters, inputs, output_fisher)
    spread = (
        (lambda f: torch.eye(2).double())
        if likelihood is None
        else (lambda f: torch.diag(f.softmax(0)) - torch.outer(f.softmax(0), f.softmax(0)))
    )
    matrix = dense(parameters, inputs, spread)
    rebuilt = found.vectors * found.eigenvalues @ found.vectors.T
    torch.testing.assert_close(rebuilt, matrix, rtol=0, atol=1e-6 * matrix.abs().max().item())
    overlaps = found.vectors.T @ found.vectors
    torch.testing.assert_close(overlaps, torch.eye(len(overlaps)).double(), rtol=0, atol=1e-7)
    assert (found.eigenvalues.diff() <= 0).all()
    assert found.eigenvalues[-1] > 0


def test_projections_are_orthogonal_and_nested():
    parameters = parameters_of(4)
    inputs = torch.randn(10, 3, generator=torch.Generator().manual_seed(9))
    found = compute_fisher_directions(NETWORK, parameters, inputs, IdentityFisher(), names=["in"])
    tangent = parameters_of(4)
    large, small = (found.project(tangent, found.eigenvalues[rank].item()) for rank in (0, 3))
    assert (large["out"] == 0).all()
    assert found.fraction(found.eigenvalues[3].item()) == 4 / 12
    assert flatten(large).norm() < flatten(small).norm() < flatten({"in": tangent["in"]}).norm()
    rest = flatten(tangent) - flatten(small)
    assert abs(rest @ flatten(small)) < 1e-6
    assert torch.allclose(found.project(small, found.eigenvalues[3].item())["in"], small["in"], atol=1e-6)


def test_a_large_network_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(fisher_directions, "MAX_SIDE", 10)
    with pytest.raises(UsageError, match="expected at most 10 parameters, or samples times outputs, found 20 and 40"):
        compute_fisher_directions(NETWORK, parameters_of(4), torch.ones(20, 3), IdentityFisher())
    assert (
        len(compute_fisher_directions(NETWORK, parameters_of(4), torch.ones(4, 3), IdentityFisher()).eigenvalues) == 2
    )


def test_no_sample_is_refused():
    with pytest.raises(UsageError, match="at least one sample"):
        compute_fisher_directions(NETWORK, parameters_of(2), torch.empty(0, 3), IdentityFisher())
