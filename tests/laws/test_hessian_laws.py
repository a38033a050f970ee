"""What holds for eigenvalues and traces of any symmetric matrix."""

import hypothesis.strategies as st
import torch
from hypothesis import given, settings

from grokprobe.numerics.hutchinson import estimate_trace
from grokprobe.numerics.lanczos import compute_ritz_values

LAW = settings(deadline=None, max_examples=40)
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 12)


def draw(rows, columns, seed):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def symmetric(size, rank, seed):
    left, right = draw(size, rank, seed), draw(size, rank, seed + 1)
    return left @ right.T + right @ left.T


def ritz_of(matrix, num_iterations, seed):
    generator = torch.Generator().manual_seed(seed)
    return compute_ritz_values(lambda vector: matrix @ vector, len(matrix), num_iterations, generator)


@LAW
@given(size=sides, rank=sides, seed=seeds)
def test_exact_when_there_are_as_many_iterations_as_dimensions(size, rank, seed):
    matrix = symmetric(size, rank, seed)
    expected = torch.linalg.eigvalsh(matrix).flip(0)
    found = ritz_of(matrix, size, seed)
    torch.testing.assert_close(found.values, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


@LAW
@given(size=sides, num_iterations=st.integers(1, 12), seed=seeds)
def test_error_bars_hold_an_eigenvalue_and_no_value_leaves_the_spectrum(size, num_iterations, seed):
    matrix = symmetric(size, size, seed)
    exact = torch.linalg.eigvalsh(matrix)
    found = ritz_of(matrix, num_iterations, seed)
    rounding = 1e-12 * float(exact.abs().max())
    distances = (found.values.unsqueeze(1) - exact).abs().amin(dim=1)
    assert (distances <= found.errors + rounding).all()
    assert exact[0] - rounding <= found.values.min()
    assert found.values.max() <= exact[-1] + rounding
    assert (found.values.diff() <= rounding).all()


@LAW
@given(size=sides, seed=seeds)
def test_rotations_change_no_eigenvalue(size, seed):
    matrix = symmetric(size, size, seed)
    rotation = torch.linalg.qr(draw(size, size, seed + 2)).Q
    before, after = ritz_of(matrix, size, seed), ritz_of(rotation @ matrix @ rotation.T, size, seed)
    scale = float(before.values.abs().max())
    torch.testing.assert_close(after.values, before.values, rtol=0, atol=1e-10 * scale)


@LAW
@given(size=sides, num_iterations=st.integers(1, 12), seed=seeds, factor=st.floats(1e-6, 1e6))
def test_values_errors_and_traces_scale_with_the_matrix(size, num_iterations, seed, factor):
    matrix = symmetric(size, size, seed)
    before, after = ritz_of(matrix, num_iterations, seed), ritz_of(factor * matrix, num_iterations, seed)
    scale = factor * float(before.values.abs().max())
    torch.testing.assert_close(after.values, factor * before.values, rtol=0, atol=1e-9 * scale)
    traces = [
        estimate_trace(lambda v, m=m: m @ v, size, 3, torch.Generator().manual_seed(seed))
        for m in (matrix, factor * matrix)
    ]
    size_of_terms = factor * float(matrix.abs().sum())
    assert abs(traces[1].trace - factor * traces[0].trace) <= 1e-12 * size_of_terms
    assert abs(traces[1].error - factor * traces[0].error) <= 1e-12 * size_of_terms
