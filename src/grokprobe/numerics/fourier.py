"""Power spectra of real signals on a cyclic group, and how concentrated they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch

from grokprobe.numerics.blocks import BLOCK_ELEMENTS

#: Which modes share the power of a signal of length n.
#: ``rfft``: one mode per frequency 0 … n//2, the conjugate pair of frequency k folded into one.
#: ``fft``: one mode per complex exponential 0 … n − 1.
#: ``sincos``: one mode per vector of the real orthonormal basis: constant, cos and sin of each frequency, and for even
#: n the alternating one, which has no sine.
Basis = Literal["rfft", "fft", "sincos"]

#: What is left of a signal after its mean is taken out, relative to the signal, is rounding below this.
ROUNDING: Final = 1e-12


def compute_mode_powers(signals: torch.Tensor, basis: Basis = "rfft") -> torch.Tensor:
    """Computes the power of every mode of real signals.

    With the orthonormal transform X_k = n^(−1/2) Σ_j w_j exp(−2πi jk/n): ``fft`` gives |X_k|²; ``rfft`` gives 2|X_k|²
    for 0 < k < n/2 and |X_k|² for k = 0 and k = n/2; ``sincos`` gives |X_0|², then 2 (Re X_k)² and 2 (Im X_k)² side by
    side for each 0 < k < n/2, then |X_(n/2)|² for even n. In each the powers sum to Σ_j w_j² (Parseval).

    Args:
        signals: shape (…, n), n ≥ 2.
        basis: which modes.

    Returns:
        float64, shape (…, n//2 + 1) for ``rfft``, (…, n) for the others. NaN where a signal is not finite.

    Example:
        >>> signal = torch.tensor([3.0, 1.0, 2.0, 5.0])
        >>> assert torch.isclose(compute_mode_powers(signal).sum(), signal.double().square().sum())
    """
    length = signals.shape[-1]
    real_signals = signals.detach().to(torch.float64)
    if basis == "fft":
        return torch.fft.fft(real_signals, norm="ortho").abs().square()
    amplitudes = torch.fft.rfft(real_signals, norm="ortho")
    num_pairs = (length - 1) // 2
    constant, pairs, alternating = amplitudes.split([1, num_pairs, length // 2 - num_pairs], dim=-1)
    if basis == "sincos":
        pair_powers = 2 * torch.view_as_real(pairs).square().flatten(start_dim=-2)
    else:
        pair_powers = 2 * pairs.abs().square()
    return torch.cat([constant.abs().square(), pair_powers, alternating.abs().square()], dim=-1)


def compute_ipr(powers: torch.Tensor) -> torch.Tensor:
    """Computes the inverse participation ratio of powers: IPR = Σ_ν P_ν² / (Σ_ν P_ν)².

    Its inverse is the number of modes the power is spread over: 1 for a single mode, 1/n for n equal ones. In a network
    that has learned modular addition every neuron is close to one frequency.

    What it says depends on the modes. A single frequency with phase φ has 1 in the ``rfft`` basis whatever φ;
    cos⁴φ + sin⁴φ, between ½ and 1, in ``sincos``; ½ in ``fft``, whose conjugate pair counts as two modes.

    Args:
        powers: shape (…, n), non-negative.

    Returns:
        Shape (…), in [1/n, 1]; NaN where the powers are all zero or not finite.

    Reference:
        arXiv 2502.01739, Eq. 4, which does not say which modes.

    Example:
        >>> assert compute_ipr(torch.tensor([0.0, 2.0, 0.0])) == 1
    """
    shares = powers / powers.sum(dim=-1, keepdim=True)
    return shares.square().sum(dim=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """How the power of each neuron of one layer is spread over modes. NaN for a dead neuron, and for one not finite."""

    #: Inverse participation ratio of the modes of the basis, shape (num_neurons,).
    ipr: torch.Tensor
    #: Frequency 0 … n//2 with the most power, the lowest of equal ones, float64 of shape (num_neurons,).
    dominant_frequency: torch.Tensor
    #: Share of the power at that frequency, whatever the basis: conjugates, or cos and sin, together; (num_neurons,).
    power_fraction: torch.Tensor
    #: Whether the neuron is dead, bool of shape (num_neurons,). A neuron that is not finite is undefined, not dead.
    is_dead: torch.Tensor
    #: Power per mode; for ``sincos`` per frequency. Defined for dead neurons too. Shape (num_neurons, num_modes), or
    #: (num_neurons, 0) where it is not needed.
    spectrum: torch.Tensor


def compute_concentration(
    signals: Sequence[torch.Tensor],
    *,
    basis: Basis = "rfft",
    keep_dc: bool = True,
    dead_threshold: float = 1e-3,
    needs_spectrum: bool = True,
) -> Concentration:
    """Computes the spectral concentration of every neuron of a layer.

    The powers of several signals of one neuron are added mode by mode before any ratio is formed.

    A neuron is dead if the norm of its weights is at most ``dead_threshold`` times the largest finite norm of the
    layer; in a layer of zeros every neuron is. Without its constant part, a neuron is judged by what remains: one that
    is constant is dead.

    Args:
        signals: one or more tensors of shape (num_neurons, n) that describe the same neurons, of any floating-point
            type. Some neurons at a time are in float64.
        basis: which modes share the power.
        keep_dc: whether the constant mode counts; if not, its power is set to 0.
        dead_threshold: a norm relative to the layer's largest, in [0, 1).
        needs_spectrum: whether to return the spectrum, which is as large as the layer.
    """
    num_rows = max(1, BLOCK_ELEMENTS // max(1, sum(signal.shape[-1] for signal in signals)))
    blocks = list(zip(*(signal.detach().split(num_rows) for signal in signals), strict=True))
    norms = [_compute_norms(block) for block in blocks]
    largest = torch.cat([part.masked_fill(~part.isfinite(), 0.0) for part in norms]).max()
    parts = [
        _describe(block, own, dead_threshold * largest, basis=basis, keep_dc=keep_dc, needs_spectrum=needs_spectrum)
        for block, own in zip(blocks, norms, strict=True)
    ]
    return Concentration(
        ipr=torch.cat([part.ipr for part in parts]),
        dominant_frequency=torch.cat([part.dominant_frequency for part in parts]),
        power_fraction=torch.cat([part.power_fraction for part in parts]),
        is_dead=torch.cat([part.is_dead for part in parts]),
        spectrum=torch.cat([part.spectrum for part in parts]),
    )


def _compute_norms(signals: Sequence[torch.Tensor]) -> torch.Tensor:
    dense = torch.cat([signal.to(torch.float64) for signal in signals], dim=-1)
    return torch.linalg.vector_norm(dense, dim=-1)


def _describe(
    signals: Sequence[torch.Tensor],
    norms: torch.Tensor,
    limit: torch.Tensor,
    *,
    basis: Basis,
    keep_dc: bool,
    needs_spectrum: bool,
) -> Concentration:
    """Returns the concentration of some neurons with these norms, dead where the norm is at most ``limit``."""
    folded = _add_powers(signals, "rfft", keep_dc=keep_dc)
    modes = folded if basis == "rfft" else _add_powers(signals, basis, keep_dc=keep_dc)
    kept = norms if keep_dc else folded.sum(dim=-1).sqrt()
    kept = torch.where(kept <= ROUNDING * norms, 0.0, kept)
    is_finite = norms.isfinite()
    is_dead = is_finite & (kept <= limit)
    undefined = is_dead | ~is_finite
    frequency_shares = folded / folded.sum(dim=-1, keepdim=True)
    power_fraction, dominant_frequency = frequency_shares.max(dim=-1)
    spectrum = folded if basis == "sincos" else modes
    return Concentration(
        ipr=compute_ipr(modes).masked_fill(undefined, torch.nan),
        dominant_frequency=dominant_frequency.to(torch.float64).masked_fill(undefined, torch.nan),
        power_fraction=power_fraction.masked_fill(undefined, torch.nan),
        is_dead=is_dead,
        spectrum=spectrum if needs_spectrum else spectrum[:, :0],
    )


def _add_powers(signals: Sequence[torch.Tensor], basis: Basis, *, keep_dc: bool) -> torch.Tensor:
    powers = torch.stack([compute_mode_powers(signal, basis) for signal in signals]).sum(dim=0)
    if not keep_dc:
        powers[..., 0] = 0.0  # mode 0 is the constant one in every basis
    return powers
