"""What holds for similarities and ranks of any representations."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from grokprobe.numerics.cross_products import compute_cross_products
from grokprobe.numerics.effective_rank import compute_effective_rank
from grokprobe.numerics.similarity import compute_similarity

LAW = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)
widths = st.integers(1, 6)
samples = st.integers(3, 12)
factors = st.floats(1e-3, 1e3)


def draw(rows, columns, seed):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation_of(width, seed):
    return torch.linalg.qr(draw(width, width, seed)).Q


def similarity(x, y):
    products = [compute_cross_products(*pair) for pair in ((x, x), (y, y), (x, y))]
    alike = compute_similarity(*products, eps=torch.finfo(torch.float64).eps)
    return alike.cka, alike.procrustes


def ranks(features):
    rank = compute_effective_rank(compute_cross_products(features, features).products)
    return rank.participation_ratio, rank.entropy_rank


@LAW
@given(n=samples, left=widths, right=widths, seed=seeds, factor=factors, shift=st.floats(-9, 9))
def test_similarity_ignores_rotation_scale_and_shift(n, left, right, seed, factor, shift):
    x, y = draw(n, left, seed), draw(n, right, seed + 1)
    before = similarity(x, y)
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in before)
    assert similarity(-factor * x @ rotation_of(left, seed + 2) + shift, y) == pytest.approx(before, abs=1e-9)
    assert similarity(y, x) == pytest.approx(before)


@LAW
@given(n=samples, width=widths, seed=seeds)
def test_a_representation_is_like_itself_in_any_order_of_units(n, width, seed):
    x = draw(n, width, seed)
    order = torch.randperm(width, generator=torch.Generator().manual_seed(seed))
    assert similarity(x, x[:, order]) == pytest.approx((1, 1))


@LAW
@given(n=samples, width=widths, rank=widths, seed=seeds, factor=factors)
def test_effective_ranks_lie_between_one_and_the_rank_and_ignore_scale(n, width, rank, seed, factor):
    features = draw(n, rank, seed) @ draw(rank, width, seed + 1)
    found = ranks(features)
    assert all(1 - 1e-9 <= value <= min(n - 1, width, rank) + 1e-6 for value in found)
    assert ranks(factor * features @ rotation_of(width, seed + 2)) == pytest.approx(found, rel=1e-5)


@LAW
@given(n=st.integers(4, 12), cut=st.integers(1, 3), left=widths, right=widths, seed=seeds)
def test_products_do_not_depend_on_batches(n, cut, left, right, seed):
    x, y = draw(n, left, seed) + 4, draw(n, right, seed + 1)
    parts = compute_cross_products(x[:cut], y[:cut]).merged(compute_cross_products(x[cut:], y[cut:]))
    torch.testing.assert_close(parts.products, compute_cross_products(x, y).products, rtol=1e-9, atol=1e-11)
