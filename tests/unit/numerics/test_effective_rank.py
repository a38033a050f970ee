import math

import pytest
import torch

from grokprobe.numerics.effective_rank import compute_effective_rank
from reference import representations as reference


def draw(num_samples, num_features, seed=0):
    return torch.randn(num_samples, num_features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rank_of(features, rounding=0.0):
    deviations = features - features.mean(dim=0)
    return compute_effective_rank(deviations.T @ deviations, rounding)


def test_agrees_with_singular_values_of_the_data():
    features = draw(30, 5) * torch.tensor([1, 2, 5, 0.1, 3])
    rank = rank_of(features)
    expected = reference.effective_ranks(features.numpy())
    assert (rank.participation_ratio, rank.entropy_rank) == pytest.approx(expected)


def test_equal_directions_and_a_single_one():
    rank = compute_effective_rank(7 * torch.eye(4, dtype=torch.float64))
    assert (rank.participation_ratio, rank.entropy_rank) == pytest.approx((4, 4))
    single = rank_of(torch.outer(draw(9, 1)[:, 0], torch.tensor([1.0, 2.0, 3.0]).double()))
    assert (single.participation_ratio, single.entropy_rank) == pytest.approx((1, 1))


def test_white_noise():
    num_samples, num_features = 400, 100
    expected = num_features * num_samples / (num_features + num_samples)
    assert rank_of(draw(num_samples, num_features)).participation_ratio == pytest.approx(expected, rel=0.02)


def test_rounding_counts_as_zero():
    gram = torch.diag(torch.tensor([1.0, 1.0, 1e-6])).double()
    assert compute_effective_rank(gram).entropy_rank > 2.001
    assert compute_effective_rank(gram, rounding=2e-3).entropy_rank == pytest.approx(2)


@pytest.mark.parametrize("gram", [torch.zeros(2, 2), torch.tensor([[1.0, math.nan], [math.nan, 1.0]])])
def test_undefined_without_variance(gram):
    rank = compute_effective_rank(gram.double())
    assert math.isnan(rank.participation_ratio)
    assert math.isnan(rank.entropy_rank)
