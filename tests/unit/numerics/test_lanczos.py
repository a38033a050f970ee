import math

import pytest
import torch

from grokprobe.numerics.lanczos import compute_ritz_values


def ritz_of(matrix, num_iterations, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return compute_ritz_values(lambda vector: matrix @ vector, len(matrix), num_iterations, generator)


def spread_matrix(eigenvalues, seed=1):
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    rotation = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    return rotation @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ rotation.T


def test_as_many_iterations_as_dimensions_are_exact():
    eigenvalues = [9.0, 4.0, 1.0, 0.5, -0.25, -7.0]
    found = ritz_of(spread_matrix(eigenvalues), 6)
    torch.testing.assert_close(found.values, torch.tensor(eigenvalues, dtype=torch.float64), rtol=1e-12, atol=1e-12)
    assert found.errors.max() < 1e-12


@pytest.mark.parametrize("eigenvalues", [[3.0, 3.0, 3.0, 1.0, 1.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]])
def test_multiple_eigenvalues_are_all_found_when_the_space_is_exhausted(eigenvalues):
    found = ritz_of(spread_matrix(eigenvalues), 10)
    torch.testing.assert_close(found.values, torch.tensor(eigenvalues, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_the_extremes_converge_first_and_the_bound_says_how_far():
    eigenvalues = [50.0, 20.0, *torch.linspace(1, 0, 197).tolist(), -5.0]
    matrix = spread_matrix(eigenvalues)
    few, many = ritz_of(matrix, 5), ritz_of(matrix, 20)
    assert abs(many.values[0] - 50) < 1e-9
    assert abs(many.values[-1] + 5) < 1e-6
    assert many.errors[0] < 1e-6 < few.errors[0]


def test_no_more_products_than_dimensions():
    calls = []

    def product(vector):
        calls.append(vector)
        return 2 * vector

    found = compute_ritz_values(product, 3, 100, torch.Generator().manual_seed(0))
    assert (len(calls), len(found.values)) == (3, 3)
    basis = torch.stack(calls)
    torch.testing.assert_close(basis @ basis.T, torch.eye(3, dtype=torch.float64))


def test_one_dimension():
    found = ritz_of(torch.tensor([[-4.0]], dtype=torch.float64), 3)
    assert (found.values.tolist(), found.errors.tolist()) == ([-4], [0])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_not_finite_is_undefined(value):
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[0, 1] = value
    found = ritz_of(matrix, 2)
    assert found.values.isnan().all()
    assert found.errors.isnan().all()
