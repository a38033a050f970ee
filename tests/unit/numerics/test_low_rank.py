import math

import numpy as np
import pytest
import torch

from grokprobe.numerics.low_rank import decompose
from reference import compression as reference


@pytest.mark.parametrize(("amount", "rank"), [(0.1, 4), (0.2, 3), (0.5, 2), (0.625, 2), (0.63, 1), (0.87, 1)])
def test_agrees_with_a_projection_onto_eigenvectors(amount, rank):
    kernel = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = decompose(kernel).truncate(amount)
    assert found.shape == kernel.shape
    np.testing.assert_allclose(found.reshape(4, 12), reference.truncate(kernel.reshape(4, 12), rank), atol=1e-10)


def test_rank_one_stays_itself_until_rank_zero():
    outer = torch.outer(torch.tensor([1.0, -2.0, 3.0, 0.5]), torch.tensor([2.0, 0.0, 1.0, 1.0]))
    form = decompose(outer)
    for amount in (0.2, 0.5, 0.8):
        torch.testing.assert_close(form.truncate(amount), outer)
    assert form.truncate(0.9).equal(torch.zeros(4, 4))


def test_full_rank_is_the_tensor_itself():
    weights = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    assert decompose(weights).truncate(0).equal(weights)
    assert decompose(weights).truncate(0.1).equal(weights)


def test_what_is_not_finite_is_undefined_between_the_ends():
    weights = torch.tensor([[1.0, math.inf], [0.0, 1.0]])
    form = decompose(weights)
    assert form.truncate(0).equal(weights)
    assert form.truncate(0.5).isnan().all()
    assert form.truncate(1).equal(torch.zeros(2, 2))
    assert decompose(torch.empty(0, 3)).truncate(0.5).shape == (0, 3)
