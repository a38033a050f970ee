"""What holds for the waves of any logits."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from grokprobe_tasks.modular_addition.pair_waves import (
    compute_wave_shares,
    find_key_frequencies,
    gather_pairs,
    project_on_waves,
)

LAW = settings(deadline=None, max_examples=25)
periods = st.integers(2, 9)
seeds = st.integers(0, 2**32 - 1)


def draw(period, seed):
    return torch.randn(period**2, period, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gather(logits, period):
    return gather_pairs(logits, torch.arange(period**2), period)


def shares_of(logits, period):
    return compute_wave_shares(gather(logits, period), eps=torch.finfo(torch.float64).eps)


@LAW
@given(period=periods, seed=seeds, factor=st.floats(1e-3, 1e3), move=st.integers(0, 8))
def test_shares_ignore_scale_shifts_of_the_labels_and_what_softmax_ignores(period, seed, factor, move):
    logits = draw(period, seed)
    before = shares_of(logits, period).tolist()
    assert 0 <= sum(before) <= 1 + 1e-12
    of_pair = draw(period, seed + 1)[:, :1]
    shifted = logits.reshape(period, period, period).roll(move, dims=0).reshape(period**2, period)
    for other in (factor * logits + of_pair, shifted):
        assert shares_of(other, period).tolist() == pytest.approx(before, rel=1e-6, abs=1e-12)


@LAW
@given(period=periods, seed=seeds, waves=st.sampled_from(["sum", "products"]))
def test_projecting_again_changes_nothing(period, seed, waves):
    pairs = torch.arange(period**2)
    part = project_on_waves(gather(draw(period, seed), period), [1], waves).at(pairs)
    again = project_on_waves(gather(part, period), [1], waves).at(pairs)
    torch.testing.assert_close(again, part, rtol=0, atol=1e-9)


@LAW
@given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=9), coverage=st.floats(0.01, 1))
def test_key_frequencies_suffice_and_none_is_idle(shares, coverage):
    values = torch.tensor(shares, dtype=torch.float64)
    key = find_key_frequencies(values, coverage)
    if values.sum() == 0:
        assert key == ()
        return
    held = sorted((shares[k - 1] for k in key), reverse=True)
    assert sum(held) >= coverage * sum(shares) * (1 - 1e-12)
    assert sum(held[:-1]) <= coverage * sum(shares) * (1 + 1e-12)
