import math

import pytest
import torch

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
