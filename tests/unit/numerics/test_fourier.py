import math

import numpy as np
import pytest
import torch

from grokprobe.numerics import fourier
from grokprobe.numerics.fourier import compute_concentration, compute_ipr, compute_mode_powers
from reference import fourier as reference

BASES = ["rfft", "fft", "sincos"]


def signals_of(length, num_neurons=5, seed=0):
    return torch.randn(num_neurons, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(length, frequency, phase):
    return torch.cos(2 * math.pi * frequency * torch.arange(length, dtype=torch.float64) / length + phase)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("length", [2, 3, 4, 5, 8, 12, 23])
def test_mode_powers_and_ipr_agree_with_explicit_sums(basis, length):
    signals = signals_of(length)
    expected = [reference.MODE_POWERS[basis](signal) for signal in signals.tolist()]
    powers = compute_mode_powers(signals, basis)
    np.testing.assert_allclose(powers, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(compute_ipr(powers), [reference.ipr(row) for row in expected], rtol=1e-10)


@pytest.mark.parametrize("length", [5, 8])
def test_real_basis_of_the_reference_is_orthonormal(length):
    vectors = np.array([vector for _, vector in reference.real_basis(length)])
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(length), atol=1e-12)


@pytest.mark.parametrize("length", [7, 8])
@pytest.mark.parametrize("basis", BASES)
def test_concentration_agrees_with_explicit_sums(basis, length):
    signals = signals_of(length)
    found = compute_concentration([signals], basis=basis)
    for neuron, signal in enumerate(signals.tolist()):
        folded = reference.folded_powers(signal)
        assert found.ipr[neuron].item() == pytest.approx(reference.ipr(reference.MODE_POWERS[basis](signal)))
        assert found.dominant_frequency[neuron] == int(np.argmax(folded))
        assert found.power_fraction[neuron].item() == pytest.approx(max(folded) / sum(folded))


def test_spectrum_is_per_mode_for_the_transforms_and_per_frequency_for_sincos():
    signals = signals_of(9)
    shapes = {basis: compute_concentration([signals], basis=basis).spectrum.shape[1] for basis in BASES}
    assert shapes == {"rfft": 5, "fft": 9, "sincos": 5}
    for basis in BASES:
        spectrum = compute_concentration([signals], basis=basis).spectrum
        torch.testing.assert_close(spectrum.sum(dim=1), signals.square().sum(dim=1))


def test_powers_of_several_signals_are_added_before_the_ratio():
    same = compute_concentration([cosine(11, 2, 0.3)[None], cosine(11, 2, 1.1)[None]])
    different = compute_concentration([cosine(11, 2, 0.3)[None], cosine(11, 5, 1.1)[None]])
    assert same.ipr.item() == pytest.approx(1)
    assert different.ipr.item() == pytest.approx(0.5)


def test_constant_mode_counts_only_if_kept():
    signal = (3 + cosine(7, 2, 0.4))[None]
    kept, dropped = compute_concentration([signal]), compute_concentration([signal], keep_dc=False)
    assert kept.dominant_frequency.item() == 0
    assert kept.ipr.item() < 1
    assert dropped.dominant_frequency.item() == 2
    assert dropped.ipr.item() == pytest.approx(1)
    assert dropped.spectrum[0, 0] == 0


def test_constant_neuron_is_dead_once_its_constant_part_is_dropped():
    signals = torch.stack([cosine(7, 2, 0.4), torch.full((7,), 0.7, dtype=torch.float64)])
    kept = compute_concentration([signals], dead_threshold=0)
    assert kept.is_dead.tolist() == [False, False]
    dropped = compute_concentration([signals], keep_dc=False, dead_threshold=0)
    assert dropped.is_dead.tolist() == [False, True]
    assert dropped.ipr[1].isnan()


def test_dead_neuron_is_undefined_and_the_threshold_is_inclusive():
    signals = cosine(7, 2, 0.4) * torch.tensor([[1.0], [0.0], [0.25], [0.251]], dtype=torch.float64)
    found = compute_concentration([signals], dead_threshold=0.25)
    assert found.is_dead.tolist() == [False, True, True, False]
    for values in (found.ipr, found.dominant_frequency, found.power_fraction):
        assert values.isnan().tolist() == [False, True, True, False]
    assert found.spectrum.isfinite().all()


def test_layer_of_zeros_is_all_dead():
    found = compute_concentration([torch.zeros(3, 5)], dead_threshold=0)
    assert found.is_dead.all()
    assert found.ipr.isnan().all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_neuron_that_is_not_finite_is_undefined_but_not_dead_and_harms_no_other(value):
    signals = signals_of(7)
    clean = compute_concentration([signals])
    broken = signals.clone()
    broken[1, 3] = value
    found = compute_concentration([broken])
    assert not found.is_dead.any()
    assert found.ipr.isnan().tolist() == [False, True, False, False, False]
    assert found.dominant_frequency.isnan().tolist() == [False, True, False, False, False]
    assert torch.equal(found.ipr[2:], clean.ipr[2:])


def test_computes_in_float64_whatever_the_input():
    signals = signals_of(7).float()
    assert compute_mode_powers(signals).dtype == torch.float64
    torch.testing.assert_close(compute_mode_powers(signals), compute_mode_powers(signals.double()), rtol=0, atol=0)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("keep_dc", [True, False])
def test_neurons_in_blocks_are_as_all_at_once(monkeypatch, basis, keep_dc):
    signals = [torch.randn(7, 6, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    signals[0][2], signals[1][2] = 1e-9, 0.0  # dead only beside the neurons of other blocks
    signals[0][4, 1] = torch.nan
    whole = compute_concentration(signals, basis=basis, keep_dc=keep_dc)
    monkeypatch.setattr(fourier, "BLOCK_ELEMENTS", 24)
    found = compute_concentration(signals, basis=basis, keep_dc=keep_dc)
    for name in ("ipr", "dominant_frequency", "power_fraction", "is_dead", "spectrum"):
        torch.testing.assert_close(getattr(found, name), getattr(whole, name), rtol=1e-14, atol=0, equal_nan=True)
    assert found.is_dead.tolist() == [neuron == 2 for neuron in range(7)]
    assert compute_concentration(signals, basis=basis, needs_spectrum=False).spectrum.shape == (7, 0)
