import math

import numpy as np
import torch

from grokprobe.numerics.hutchinson import estimate_trace


def symmetric(size, seed=0):
    matrix = torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return matrix + matrix.T


def estimate(matrix, num_probes, seed):
    generator = torch.Generator().manual_seed(seed)
    return estimate_trace(lambda vector: matrix @ vector, len(matrix), num_probes, generator)


def test_diagonal_matrices_have_no_noise():
    diagonal = torch.tensor([1.0, -2.0, 5.0], dtype=torch.float64)
    found = estimate(torch.diag(diagonal), 4, seed=0)
    assert (found.trace, found.error) == (4, 0)


def test_errors_fall_with_the_root_of_the_number_of_probes():
    matrix = symmetric(12)
    off_diagonal = matrix - torch.diag(matrix.diagonal())
    spread = math.sqrt(2 * off_diagonal.square().sum())  # of one probe, in theory
    for num_probes in (4, 64):
        estimates = [estimate(matrix, num_probes, seed) for seed in range(300)]
        deviations = np.array([found.trace for found in estimates]) - matrix.trace().item()
        expected = spread / math.sqrt(num_probes)
        assert abs(deviations.mean()) < 4 * expected / math.sqrt(300)  # unbiased
        np.testing.assert_allclose(deviations.std(), expected, rtol=0.15)  # 300 deviations: 4 % of it
        squares = np.mean([found.error**2 for found in estimates])
        np.testing.assert_allclose(squares, expected**2, rtol=0.2)  # the error bar tells the truth


def test_one_probe_has_no_error_and_not_finite_is_undefined():
    assert math.isnan(estimate(symmetric(3), 1, seed=0).error)
    broken = symmetric(3)
    broken[0, 0] = math.nan
    found = estimate(broken, 3, seed=0)
    assert math.isnan(found.trace)
    assert math.isnan(found.error)
