import numpy as np
import torch

from grokprobe.numerics import comoments as module
from grokprobe.numerics.comoments import compute_comoments


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_agrees_with_the_definitions():
    units, features = draw(9, 4), draw(9, 2, seed=1)
    found = compute_comoments(units, features)
    z, f = units.numpy(), features.numpy()
    expected = 9 * np.cov(np.hstack([z, f]).T, bias=True)
    assert found.num_samples == 9
    np.testing.assert_allclose(found.unit_means, z.mean(axis=0), atol=1e-15)
    np.testing.assert_allclose(found.unit_squares, np.diag(expected)[:4], rtol=1e-13)
    np.testing.assert_allclose(found.products, expected[:4, 4:], rtol=1e-12)
    np.testing.assert_allclose(found.feature_products, expected[4:, 4:], rtol=1e-12)
    np.testing.assert_allclose(found.feature_means, f.mean(axis=0), atol=1e-15)
    np.testing.assert_allclose(found.unit_magnitudes, abs(z).sum(axis=0))
    np.testing.assert_array_equal(found.unit_peaks, abs(z).max(axis=0))
    np.testing.assert_array_equal(found.feature_peaks, abs(f).max(axis=0))


def test_blocks_of_units_change_nothing(monkeypatch):
    units, features = draw(8, 7), draw(8, 3, seed=1)
    whole = compute_comoments(units, features)
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 17)  # two units of eight samples
    blocks = compute_comoments(units, features)
    for name in module.Comoments.__dataclass_fields__:
        np.testing.assert_allclose(getattr(blocks, name), getattr(whole, name), rtol=1e-14, atol=1e-15)


def test_everything_is_float64():
    found = compute_comoments(draw(5, 2, dtype=torch.float32), draw(5, 1, dtype=torch.float32))
    tensors = [value for value in map(found.__getattribute__, found.__slots__) if isinstance(value, torch.Tensor)]
    assert len(tensors) == 8
    assert {tensor.dtype for tensor in tensors} == {torch.float64}


def test_equal_values_have_squares_of_exactly_zero():
    units = torch.full((1000, 1), 0.1, dtype=torch.float64)
    found = compute_comoments(units[:700], units[:700]).merged(compute_comoments(units[700:], units[700:]))
    assert found.unit_squares.item() == found.products.item() == found.feature_products.item() == 0


def test_one_sample_at_a_time_is_the_whole():
    units, features = 1000 + draw(40, 3), 1 + draw(40, 2, seed=1)
    whole = compute_comoments(units, features)
    parts = [compute_comoments(units[i : i + 1], features[i : i + 1]) for i in range(40)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merged(part)
    np.testing.assert_allclose(merged.products, whole.products, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(merged.unit_squares, whole.unit_squares, rtol=1e-10)
    np.testing.assert_allclose(merged.feature_products, whole.feature_products, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(merged.unit_means, whole.unit_means)
    np.testing.assert_allclose(merged.feature_means, whole.feature_means)
    np.testing.assert_allclose(merged.unit_magnitudes, whole.unit_magnitudes)
    assert merged.unit_peaks.equal(whole.unit_peaks)
    assert merged.feature_peaks.equal(whole.feature_peaks)
    assert merged.num_samples == whole.num_samples


def test_constant_is_relative_to_the_largest_magnitude():
    units = torch.tensor([[1.0, 1e-20, 0.0, 1.0], [1.0 + 2e-7, 3e-20, 0.0, torch.nan]], dtype=torch.float64)
    found = compute_comoments(units, torch.zeros(2, 1))
    assert found.find_constant_units(4e-7).tolist() == [True, False, True, False]
    assert found.find_constant_units(1e-8).tolist() == [False, False, True, False]
