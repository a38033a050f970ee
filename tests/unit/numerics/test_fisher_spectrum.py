import pytest
import torch

from grokprobe.errors import UsageError
from grokprobe.numerics import fisher_spectrum as module
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.fisher_spectrum import compute_fisher_eigenvalues
from grokprobe.numerics.output_fisher import IdentityFisher, empirical_fisher, exact_fisher
from reference import fisher as reference
from unit.numerics.fisher_networks import Case

EXACT = exact_fisher("categorical")


@pytest.mark.parametrize(
    ("name", "num_samples", "count"),
    [("mlp", 3, 3 * 4), ("mlp", 30, 101), ("cnn", 7, 7), ("shared_weights", 4, 4 * 3)],
)
def test_the_smaller_matrix_has_the_eigenvalues_of_the_dense_one(name, num_samples, count):
    case = Case(name, num_samples)
    found = compute_fisher_eigenvalues(case.network, case.parameters, case.inputs, EXACT)
    dense = torch.linalg.eigvalsh(reference.categorical_matrix(case.apply, case.parameters, case.inputs)).flip(0)
    rounding = 1e-12 * dense[0].item()
    assert len(found) == count
    torch.testing.assert_close(found, dense[:count].clamp(min=0), rtol=1e-9, atol=rounding)
    assert (dense[count:].abs() < rounding).all()


def test_pairs_of_chunks_change_nothing_but_rounding(monkeypatch):
    case = Case("cnn", num_samples=5)
    fisher = empirical_fisher("categorical", case.labels)
    whole = compute_fisher_eigenvalues(case.network, case.parameters, case.inputs, fisher)
    size = sum(tensor.numel() for tensor in case.parameters.values())
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 2 * size)
    parts = compute_fisher_eigenvalues(case.network, case.parameters, case.inputs, fisher)
    torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-12 * whole[0].item())


def test_they_sum_to_the_trace_of_the_wanted_parameters():
    case = Case("mlp")
    names = ["net.0.weight", "net.2.bias"]
    eigenvalues = compute_fisher_eigenvalues(case.network, case.parameters, case.inputs, EXACT, names=names)
    diagonal = compute_fisher_diagonal(case.network, case.parameters, case.inputs, EXACT, names=names)
    trace = sum(values.sum() for values in diagonal.values())
    torch.testing.assert_close(eigenvalues.sum(), trace)
    assert (eigenvalues >= 0).all()
    assert (eigenvalues.diff() <= 0).all()


def test_a_gradient_that_is_not_finite_leaves_none():
    case = Case("mlp")
    case.parameters["net.0.bias"][0] = torch.nan
    found = compute_fisher_eigenvalues(case.network, case.parameters, case.inputs, IdentityFisher())
    assert found.isnan().all()


def test_what_is_too_large_is_refused_with_a_way_out(monkeypatch):
    case = Case("mlp", num_samples=6)
    monkeypatch.setattr(module, "MAX_SIDE", 20)
    with pytest.raises(UsageError, match=r"at most 20 parameters, .* found 101 and 6 times 4; take at most 5 samples"):
        compute_fisher_eigenvalues(case.network, case.parameters, case.inputs, EXACT)
    assert len(compute_fisher_eigenvalues(case.network, case.parameters, case.inputs[:5], EXACT)) == 20


def test_no_sample_is_refused():
    case = Case("mlp")
    with pytest.raises(UsageError, match="at least one sample, found none"):
        compute_fisher_eigenvalues(case.network, case.parameters, case.inputs[:0], EXACT)
