import math

import numpy as np
import pytest
import torch

from grokprobe.numerics.quantization import quantize_uniformly
from reference import compression as reference


@pytest.mark.parametrize("bits", [0, 1, 2, 3, 5, 8])
def test_agrees_with_a_search_among_the_levels(bits):
    weights = torch.randn(40, generator=torch.Generator().manual_seed(bits), dtype=torch.float64)
    found = quantize_uniformly(weights, bits)
    np.testing.assert_allclose(found, reference.quantize(weights.tolist(), bits), atol=1e-12)
    assert len(found.unique()) <= max(2**bits - 1, 1)


def test_three_bits_are_seven_levels():
    weights = torch.tensor([[-3.0, -1.6, -0.5], [0.4, 1.5, 2.4]])
    assert quantize_uniformly(weights, 3).tolist() == [[-3, -2, 0], [0, 2, 2]]  # halves to the even level
    assert quantize_uniformly(weights, 2).tolist() == [[-3, -3, 0], [0, 0, 3]]


def test_all_bits_are_the_tensor_itself_and_one_is_zero():
    weights = torch.tensor([0.3, -0.7])
    assert quantize_uniformly(weights, 32) is weights
    assert quantize_uniformly(weights, 1).tolist() == [0, 0]
    assert (quantize_uniformly(weights, 31) - weights).abs().max() < 1e-7


def test_zeros_stay_zero_and_what_is_not_finite_is_undefined():
    assert quantize_uniformly(torch.zeros(3), 4).tolist() == [0, 0, 0]
    assert quantize_uniformly(torch.empty(0, 2), 4).shape == (0, 2)
    for value in (math.nan, math.inf):
        assert quantize_uniformly(torch.tensor([1.0, value]), 4).isnan().all()
        assert quantize_uniformly(torch.tensor([1.0, value]), 0).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_type_is_kept(dtype):
    assert quantize_uniformly(torch.ones(2, dtype=dtype), 4).dtype == dtype
