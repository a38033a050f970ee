import math

import pytest
import torch

from grokprobe.errors import VariableError
from grokprobe.numerics.inner_products import InnerProducts, compute_angle
from reference import paths as reference


def products_of(gram, names="vw"):
    return InnerProducts(places={name: i for i, name in enumerate(names)}, gram=torch.tensor(gram, dtype=torch.float64))


def test_agrees_with_loops():
    root = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix, vectors = root @ root.T, torch.randn(2, 4, generator=torch.Generator().manual_seed(1)).double()
    products = products_of((vectors @ matrix @ vectors.T).tolist())
    left, right = vectors.tolist()
    assert products.norm("w") == pytest.approx(reference.norm(right, matrix.tolist()))
    assert products.cosine("v", "w") == pytest.approx(reference.cosine(left, right, matrix.tolist()))


def test_a_missing_tangent_is_undefined():
    products = products_of([[1.0]], "v")
    assert math.isnan(products.norm("w"))
    assert math.isnan(products.cosine("v", "w"))
    assert math.isnan(products.cosine("w", "v"))


@pytest.mark.parametrize("smallest", [(1.0, 0.0), (0.0, 2.0)])
def test_a_norm_at_its_limit_has_no_direction(smallest):
    products = products_of([[1.0, 1.0], [1.0, 4.0]])
    assert math.isnan(products.cosine("v", "w", smallest))
    assert products.cosine("v", "w", (0.99, 1.99)) == 0.5


def test_zero_and_not_finite_are_undefined():
    assert math.isnan(products_of([[0.0, 0.0], [0.0, 1.0]]).cosine("v", "w"))
    endless = products_of([[math.inf, 1.0], [1.0, 1.0]])
    assert math.isnan(endless.norm("v"))
    assert math.isnan(endless.cosine("v", "w"))
    assert math.isnan(products_of([[1.0, math.nan], [math.nan, 1.0]]).cosine("v", "w"))


def test_rounding_is_clipped_and_more_is_refused():
    assert products_of([[-1e-13, 0.0], [0.0, 1.0]]).norm("v") == 0
    assert products_of([[1.0, 1 + 1e-9], [1 + 1e-9, 1.0]]).cosine("v", "w") == 1
    with pytest.raises(VariableError, match="'v' with itself: expected at least 0, found -1e-06"):
        products_of([[-1e-6, 0.0], [0.0, 1.0]]).norm("v")
    with pytest.raises(VariableError, match=r"'v' and 'w': expected at most 1, found 1\.01"):
        products_of([[1.0, 1.01], [1.01, 1.0]]).cosine("v", "w")


def test_angles():
    assert [compute_angle(cosine) for cosine in (1.0, -1.0)] == [0, math.pi]
    assert compute_angle(0.5) == pytest.approx(math.pi / 3)
    assert math.isnan(compute_angle(math.nan))
