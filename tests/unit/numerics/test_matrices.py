import math

import pytest
import torch

from grokprobe.numerics import matrices
from grokprobe.numerics.matrices import compute_matrix_size
from reference import weights as reference


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (3, 5), (5, 3)])
def test_agrees_with_loops(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    size = compute_matrix_size(matrix)
    assert size.norm == pytest.approx(reference.frobenius_norm(matrix.tolist()))
    assert size.spectral_norm == pytest.approx(reference.spectral_norm(matrix.tolist()))
    assert size.stable_rank == pytest.approx(reference.stable_rank(matrix.tolist()))


def test_zeros_have_norms_but_no_rank():
    size = compute_matrix_size(torch.zeros(3, 4))
    assert (size.norm, size.spectral_norm) == (0, 0)
    assert math.isnan(size.stable_rank)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_not_finite_is_undefined(value):
    matrix = torch.eye(3)
    matrix[0, 1] = value
    size = compute_matrix_size(matrix)
    assert all(math.isnan(number) for number in (size.norm, size.spectral_norm, size.stable_rank))


def test_tiny_matrix_keeps_its_rank():
    assert compute_matrix_size(1e-200 * torch.eye(3, dtype=torch.float64)).stable_rank == pytest.approx(3)


@pytest.fixture
def by_gram(monkeypatch):
    """Takes every matrix for a large one, in blocks of a few columns."""
    monkeypatch.setattr(matrices, "DENSE_ELEMENTS", 0)
    monkeypatch.setattr(matrices, "BLOCK_ELEMENTS", 200)
    monkeypatch.setattr(matrices, "_ROWS", 7)


@pytest.mark.parametrize("direct_side", [4096, 0], ids=["eigenvalues", "Lanczos"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1), (6, 1), (40, 30), (30, 40)])
def test_a_large_matrix_agrees_with_its_singular_values(by_gram, monkeypatch, shape, dtype, direct_side):
    monkeypatch.setattr(matrices, "_DIRECT_SIDE", direct_side)
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    size, exact = compute_matrix_size(matrix), torch.linalg.svdvals(matrix.double())
    assert size.singular_values is None
    assert size.norm == pytest.approx(torch.linalg.vector_norm(exact).item(), rel=1e-13)
    assert size.spectral_norm == pytest.approx(exact[0].item(), rel=1e-13)
    assert size.stable_rank == pytest.approx((exact / exact[0]).square().sum().item(), rel=1e-12)
    assert torch.equal(compute_matrix_size(matrix, needs_spectrum=True).singular_values, exact)


@pytest.mark.parametrize("num_steps", [1, 4])
def test_lanczos_goes_on_until_it_has_converged(by_gram, monkeypatch, num_steps):
    monkeypatch.setattr(matrices, "_DIRECT_SIDE", 0)
    monkeypatch.setattr(matrices, "_FIRST_STEPS", num_steps)
    matrix = torch.randn(60, 70, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert compute_matrix_size(matrix).spectral_norm == pytest.approx(torch.linalg.svdvals(matrix)[0].item(), rel=1e-12)


def test_a_large_matrix_of_odd_values(by_gram):
    zeros = compute_matrix_size(torch.zeros(9, 8))
    assert (zeros.norm, zeros.spectral_norm) == (0, 0)
    assert math.isnan(zeros.stable_rank)
    for value in (math.nan, -math.inf):
        matrix = torch.ones(9, 8)
        matrix[8, 7] = value
        size = compute_matrix_size(matrix)
        assert all(math.isnan(number) for number in (size.norm, size.spectral_norm, size.stable_rank))
    tiny = compute_matrix_size(1e-200 * torch.eye(9, dtype=torch.float64))
    assert (tiny.stable_rank, tiny.spectral_norm) == pytest.approx((9, 1e-200))
