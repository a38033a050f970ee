"""What holds for the size and inequality of any weights."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from grokprobe.numerics.inequality import compute_gini
from grokprobe.numerics.matrices import compute_matrix_size

LAW = settings(deadline=None, max_examples=40)
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 8)


def draw(rows, columns, seed):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@LAW
@given(rows=sides, columns=sides, seed=seeds, factor=st.floats(1e-6, 1e6), sign=st.sampled_from([-1, 1]))
def test_norms_scale_and_ratios_do_not(rows, columns, seed, factor, sign):
    matrix = draw(rows, columns, seed)
    before, after = compute_matrix_size(matrix), compute_matrix_size(sign * factor * matrix)
    assert after.norm == pytest.approx(factor * before.norm)
    assert after.spectral_norm == pytest.approx(factor * before.spectral_norm)
    assert after.stable_rank == pytest.approx(before.stable_rank)
    scaled = compute_gini((sign * factor * matrix).abs()).item()
    assert scaled == pytest.approx(compute_gini(matrix.abs()).item(), abs=1e-12)


@LAW
@given(rows=sides, columns=sides, rank=sides, seed=seeds)
def test_stable_rank_lies_between_one_and_the_rank(rows, columns, rank, seed):
    matrix = draw(rows, rank, seed) @ draw(rank, columns, seed + 1)
    size = compute_matrix_size(matrix)
    assert 1 <= size.stable_rank <= min(rows, columns, rank) + 1e-9
    assert size.spectral_norm <= size.norm * (1 + 1e-12)


@LAW
@given(rows=sides, columns=sides, seed=seeds)
def test_rotations_change_nothing(rows, columns, seed):
    matrix = draw(rows, columns, seed)
    left, right = torch.linalg.qr(draw(rows, rows, seed + 1)).Q, torch.linalg.qr(draw(columns, columns, seed + 2)).Q
    before, after = compute_matrix_size(matrix), compute_matrix_size(left @ matrix @ right)
    assert after.norm == pytest.approx(before.norm)
    assert after.spectral_norm == pytest.approx(before.spectral_norm)
    assert after.stable_rank == pytest.approx(before.stable_rank)


@LAW
@given(
    values=st.lists(st.floats(0, 1e6), min_size=1, max_size=20).filter(lambda values: sum(values) > 1e-3),
    data=st.data(),
)
def test_gini_has_its_range_and_ignores_order(values, data):
    gini = compute_gini(torch.tensor(values, dtype=torch.float64)).item()
    assert -1e-12 <= gini <= 1 - 1 / len(values) + 1e-12
    order = data.draw(st.permutations(values))
    assert compute_gini(torch.tensor(order, dtype=torch.float64)).item() == pytest.approx(gini, abs=1e-12)


@LAW
@given(magnitude=st.floats(1e-30, 1e30), num_values=st.integers(1, 50), seed=seeds)
def test_gini_of_equal_magnitudes_is_zero(magnitude, num_values, seed):
    signs = torch.randint(0, 2, (num_values,), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    assert compute_gini((magnitude * signs.double()).abs()).item() == pytest.approx(0, abs=1e-12)
