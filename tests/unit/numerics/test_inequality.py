import math

import pytest
import torch

from grokprobe.numerics import inequality
from grokprobe.numerics.inequality import compute_gini
from reference import weights as reference


@pytest.mark.parametrize("num_values", [1, 2, 7, 40])
def test_agrees_with_the_double_sum(num_values):
    values = torch.rand(num_values, generator=torch.Generator().manual_seed(num_values), dtype=torch.float64)
    assert compute_gini(values).item() == pytest.approx(reference.gini(values.tolist()), abs=1e-13)


def test_shape_does_not_matter():
    values = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    assert compute_gini(values) == compute_gini(values.flatten())


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, math.nan], [1.0, math.inf], []])
def test_undefined_is_nan(values):
    assert compute_gini(torch.tensor(values)).isnan()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_many_values_agree_with_few(monkeypatch, dtype):
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0)).to(dtype).abs()
    values[::7] = 0
    values[::11] = values[1]
    few = compute_gini(values).item()
    monkeypatch.setattr(inequality, "BLOCK_ELEMENTS", 64)
    assert compute_gini(values).item() == pytest.approx(few, rel=1e-13)
    assert compute_gini(torch.zeros(100, dtype=dtype)).isnan()
    for value in (math.nan, math.inf):
        values[500] = value
        assert compute_gini(values).isnan()
