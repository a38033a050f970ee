import numpy as np
import pytest
import torch

from grokprobe.numerics.cross_products import compute_cross_products
from reference.representations import centred


def draw(num_samples, num_features, seed):
    return torch.randn(num_samples, num_features, generator=torch.Generator().manual_seed(seed)) + 5


X, Y = draw(12, 3, 0), draw(12, 4, 1)


def test_agrees_with_centred_data():
    found = compute_cross_products(X, Y)
    expected = centred(X.double().numpy()).T @ centred(Y.double().numpy())
    np.testing.assert_allclose(found.products, expected, rtol=1e-12)
    assert found.num_samples == 12
    assert compute_cross_products(X, X).scale == pytest.approx(np.linalg.norm(X.double()))


def test_parts_merge_to_the_whole():
    whole = compute_cross_products(X, Y)
    parts = [compute_cross_products(X[i:j], Y[i:j]) for i, j in ((0, 1), (1, 7), (7, 12))]
    merged = parts[0].merged(parts[1]).merged(parts[2])
    assert merged.num_samples == 12
    for name in ("left_means", "right_means", "products"):
        torch.testing.assert_close(getattr(merged, name), getattr(whole, name), rtol=1e-12, atol=1e-12)


def test_equal_samples_have_products_of_exactly_zero():
    same = torch.tensor([[0.1, 1e6]]).expand(7, 2)
    assert compute_cross_products(same, same).products.tolist() == [[0, 0], [0, 0]]
