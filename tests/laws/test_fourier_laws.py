"""What holds for the spectral concentration of any neurons."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from grokprobe.numerics.fourier import compute_concentration, compute_mode_powers
from grokprobe.numerics.periodicity import split_into_layers

LAW = settings(deadline=None, max_examples=40)
BASES = ["rfft", "fft", "sincos"]
#: Far from any other frequency's power by construction, so that rounding cannot change which is largest.
PEAK = 5.0
lengths = st.integers(2, 24)
seeds = st.integers(0, 2**32 - 1)


def draw(length, seed, num_neurons=4):
    """Random neurons of comparable norm."""
    signals = torch.randn(num_neurons, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return signals + 0.1


def draw_peaked(length, seed):
    """Random neurons, each with one frequency that clearly dominates."""
    generator = torch.Generator().manual_seed(seed)
    signals = 0.1 * torch.randn(4, length, generator=generator, dtype=torch.float64)
    frequencies = torch.randint(0, length // 2 + 1, (4, 1), generator=generator)
    return signals + PEAK * torch.cos(2 * math.pi * frequencies * torch.arange(length) / length)


def assert_equal(found, expected):
    torch.testing.assert_close(found.ipr, expected.ipr, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.power_fraction, expected.power_fraction, rtol=1e-9, atol=1e-12)
    assert torch.equal(found.is_dead, expected.is_dead)


@pytest.mark.parametrize("basis", BASES)
@LAW
@given(length=lengths, seed=seeds, exponent=st.integers(-30, 30), sign=st.sampled_from([-1, 1]))
def test_invariant_to_scale_and_sign(basis, length, seed, exponent, sign):
    signals = draw_peaked(length, seed)
    found = compute_concentration([sign * 10.0**exponent * signals], basis=basis)
    expected = compute_concentration([signals], basis=basis)
    assert_equal(found, expected)
    assert torch.equal(found.dominant_frequency, expected.dominant_frequency)


@pytest.mark.parametrize("basis", BASES)
@LAW
@given(length=lengths, seed=seeds, order=st.permutations(range(4)))
def test_neurons_are_permuted_along(basis, length, seed, order):
    signals = draw(length, seed)
    found = compute_concentration([signals[order]], basis=basis)
    expected = compute_concentration([signals], basis=basis)
    torch.testing.assert_close(found.ipr, expected.ipr[order], rtol=1e-12, atol=0)


@pytest.mark.parametrize("basis", BASES)
@LAW
@given(length=lengths, seed=seeds)
def test_neurons_do_not_depend_on_each_other_while_they_live(basis, length, seed):
    signals = draw(length, seed)
    alone = compute_concentration([signals[:1]], basis=basis)
    together = compute_concentration([signals], basis=basis, dead_threshold=0)
    torch.testing.assert_close(alone.ipr, together.ipr[:1], rtol=1e-12, atol=0)


@pytest.mark.parametrize("halves", ["separate", "joint"])
@pytest.mark.parametrize("basis", ["rfft", "fft"])
@LAW
@given(length=lengths, seed=seeds, shifts=st.tuples(st.integers(0, 30), st.integers(0, 30)))
def test_invariant_to_cyclic_shifts_of_the_labels_of_each_half(basis, halves, length, seed, shifts):
    first, second = draw_peaked(length, seed), draw_peaked(length, seed + 1)
    shifted = torch.cat([first.roll(shifts[0], dims=-1), second.roll(shifts[1], dims=-1)], dim=-1)
    original = torch.cat([first, second], dim=-1)
    for one, other in zip(
        split_into_layers(shifted, length, halves), split_into_layers(original, length, halves), strict=True
    ):
        assert_equal(compute_concentration(one, basis=basis), compute_concentration(other, basis=basis))


@pytest.mark.parametrize("basis", ["rfft", "fft"])
@LAW
@given(p=st.sampled_from([3, 5, 7, 11, 13, 23]), seed=seeds, factor=st.integers(1, 22))
def test_relabelling_a_to_ka_moves_frequencies_by_the_inverse_of_k(basis, p, seed, factor):
    k = factor % p or 1
    signals = draw_peaked(p, seed)
    relabelled = torch.empty_like(signals)
    relabelled[:, k * torch.arange(p) % p] = signals
    found = compute_concentration([relabelled], basis=basis)
    expected = compute_concentration([signals], basis=basis)
    assert_equal(found, expected)
    moved = (pow(k, -1, p) * expected.dominant_frequency) % p
    assert torch.equal(found.dominant_frequency, torch.minimum(moved, p - moved))


@LAW
@given(length=lengths, seed=seeds)
def test_rfft_ipr_lies_between_an_equal_share_and_one(length, seed):
    ipr = compute_concentration([draw(length, seed)], dead_threshold=0).ipr
    assert (ipr >= 1 / (length // 2 + 1) - 1e-12).all()
    assert (ipr <= 1 + 1e-12).all()


@pytest.mark.parametrize("basis", BASES)
@LAW
@given(length=lengths, seed=seeds)
def test_powers_sum_to_the_squared_norm(basis, length, seed):
    signals = draw(length, seed)
    torch.testing.assert_close(compute_mode_powers(signals, basis).sum(dim=-1), signals.square().sum(dim=-1))


@LAW
@given(length=st.integers(3, 24), phase=st.floats(0, 2 * math.pi), data=st.data())
def test_single_frequency_has_the_published_limits(length, phase, data):
    frequency = data.draw(st.integers(1, (length - 1) // 2))
    wave = torch.cos(2 * math.pi * frequency * torch.arange(length, dtype=torch.float64) / length + phase)[None]
    limits = {"rfft": 1, "fft": 0.5, "sincos": math.cos(phase) ** 4 + math.sin(phase) ** 4}
    for basis, limit in limits.items():
        found = compute_concentration([wave], basis=basis)
        assert found.ipr.item() == pytest.approx(limit, abs=1e-9)
        assert found.dominant_frequency.item() == frequency
        assert found.power_fraction.item() == pytest.approx(1)
