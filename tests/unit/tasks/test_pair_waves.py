import numpy as np
import pytest
import torch

from grokprobe_tasks.modular_addition.pair_waves import (
    compute_wave_shares,
    find_key_frequencies,
    gather_pairs,
    project_on_waves,
)
from reference import pair_waves as reference

EPS = torch.finfo(torch.float32).eps


def draw(period, seed=0, num_classes=None):
    shape = (period**2, num_classes or period)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise + torch.arange(shape[1])


def gather(logits, period):
    return gather_pairs(logits, torch.arange(period**2), period)


@pytest.mark.parametrize("period", [2, 5, 6])
@pytest.mark.parametrize("waves", ["sum", "products"])
def test_projection_agrees_with_dense_directions(period, waves):
    logits = draw(period, num_classes=4)
    frequencies = [1, period // 2] if period > 3 else [1]
    part = project_on_waves(gather(logits, period), frequencies, waves)
    centred = logits - logits.mean(dim=1, keepdim=True)
    expected = reference.part_at(centred.numpy(), period, frequencies, waves)
    np.testing.assert_allclose(part.at(torch.arange(period**2)), expected, atol=1e-9)
    np.testing.assert_allclose(part.constant, centred.mean(dim=0), atol=1e-9)


@pytest.mark.parametrize("period", [2, 5, 6])
def test_shares_agree_with_dense_directions(period):
    logits = draw(period)
    shares = compute_wave_shares(gather(logits, period), eps=EPS)
    np.testing.assert_allclose(shares, reference.wave_shares(logits.numpy(), period), rtol=1e-6)


def test_a_function_of_the_sum_is_all_waves_of_it_and_noise_few():
    period = 11
    table = torch.randn(period, period, generator=torch.Generator().manual_seed(1))
    first, second = torch.arange(period**2) // period, torch.arange(period**2) % period
    shares = compute_wave_shares(gather(table[(first + second) % period], period), eps=EPS)
    assert shares.sum().item() == pytest.approx(1)
    noise = compute_wave_shares(gather(draw(period), period), eps=EPS)
    assert noise.sum().item() == pytest.approx((period - 1) / (period**2 - 1), rel=0.2)


def test_batches_merge_to_the_whole():
    period, logits = 5, draw(5)
    pairs = torch.arange(25)
    parts = [gather_pairs(logits[i:j], pairs[i:j], period) for i, j in ((0, 3), (3, 20), (20, 25))]
    merged, whole = parts[0].merged(parts[1]).merged(parts[2]), gather(logits, period)
    for name in ("by_sum", "by_difference", "mean"):
        torch.testing.assert_close(getattr(merged, name), getattr(whole, name), rtol=1e-12, atol=1e-12)
    assert merged.variation == pytest.approx(whole.variation, rel=1e-12)


@pytest.mark.parametrize("logits", [torch.ones(25, 5), torch.full((25, 5), torch.nan), 1e6 + torch.zeros(25, 5)])
def test_shares_of_what_does_not_vary_are_undefined(logits):
    assert compute_wave_shares(gather(logits, 5), eps=EPS).isnan().all()


def test_variation_is_read_against_the_size_of_the_logits():
    noise = draw(5) - torch.arange(5)
    assert compute_wave_shares(gather(1e-8 * noise, 5), eps=EPS).isfinite().all()
    assert compute_wave_shares(gather(torch.arange(5) + 1e-8 * noise, 5), eps=EPS).isnan().all()


def test_shares_survive_a_large_mean():
    logits = draw(5)
    moved = compute_wave_shares(gather(logits + 1e4 * torch.arange(5), 5), eps=EPS)
    torch.testing.assert_close(moved, compute_wave_shares(gather(logits, 5), eps=EPS), rtol=1e-6, atol=0)


def test_key_frequencies_are_the_fewest_that_suffice():
    shares = torch.tensor([0.1, 0.3, 0.1, 0.0])
    assert find_key_frequencies(shares, 0.5) == (2,)
    assert find_key_frequencies(shares, 0.7) == (1, 2)
    assert find_key_frequencies(shares, 1.0) == (1, 2, 3)
    assert find_key_frequencies(torch.zeros(3), 0.9) == ()
    assert find_key_frequencies(torch.full((3,), torch.nan), 0.9) == ()
