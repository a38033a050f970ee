import math

import pytest
import torch

from grokprobe.numerics.cross_products import compute_cross_products
from grokprobe.numerics.similarity import compute_similarity
from reference import representations as reference

EPS = torch.finfo(torch.float64).eps


def draw(num_samples, num_features, seed):
    return torch.randn(num_samples, num_features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def compare(x, y, eps=EPS):
    products = [compute_cross_products(*pair) for pair in ((x, x), (y, y), (x, y))]
    return compute_similarity(*products, eps=eps)


@pytest.mark.parametrize(("left", "right"), [(3, 3), (2, 5), (30, 20)])
def test_agrees_with_kernels_and_rotations(left, right):
    x = draw(12, left, 0)
    y = x @ draw(left, right, 1) + draw(12, right, 2) + 3
    alike = compare(x, y)
    assert alike.cka == pytest.approx(reference.cka(x.numpy(), y.numpy()))
    assert alike.procrustes == pytest.approx(reference.procrustes(x.numpy(), y.numpy()))


def test_rotated_scaled_and_shifted_representations_are_the_same():
    x = draw(20, 4, 0)
    rotation = torch.linalg.qr(draw(4, 4, 1)).Q
    alike = compare(x, -7 * x @ rotation + 2)
    assert (alike.cka, alike.procrustes) == pytest.approx((1, 1))


def test_representations_of_different_directions_of_samples_share_nothing():
    rotation = torch.linalg.qr(torch.cat([torch.ones(8, 1, dtype=torch.float64), draw(8, 6, 0)], dim=1)).Q
    alike = compare(rotation[:, 1:4], rotation[:, 4:7])  # orthogonal to each other, and centred
    assert (alike.cka, alike.procrustes) == pytest.approx((0, 0), abs=1e-12)


def test_white_noise_is_not_zero():
    num_samples, num_features = 400, 100
    alike = compare(draw(num_samples, num_features, 0), draw(num_samples, num_features, 1))
    assert alike.cka == pytest.approx(num_features / (num_samples + num_features), rel=0.02)


@pytest.mark.parametrize("value", [3.0, 0.0, math.nan, math.inf])
def test_undefined_for_what_does_not_vary_or_is_not_finite(value):
    x = draw(6, 2, 0)
    other = torch.full((6, 2), value, dtype=torch.float64)
    for alike in (compare(x, other), compare(other, x)):
        assert math.isnan(alike.cka)
        assert math.isnan(alike.procrustes)


def test_rounding_is_no_variation():
    noisy = 1 + 1e-8 * draw(6, 2, 0)
    assert math.isnan(compare(draw(6, 2, 1), noisy, eps=1.2e-7).cka)
    assert not math.isnan(compare(draw(6, 2, 1), noisy).cka)


def test_size_does_not_overflow():
    x = draw(6, 2, 0)
    alike = compare(1e120 * x, 1e-120 * x)
    assert (alike.cka, alike.procrustes) == pytest.approx((1, 1))
