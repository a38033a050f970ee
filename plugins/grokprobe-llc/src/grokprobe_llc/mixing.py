"""Whether chains have mixed, and how many independent draws they are worth."""

import math
from dataclasses import dataclass

import torch

#: Fewest draws of a chain from which anything can be said: two for each half.
LEAST_DRAWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixing:
    """How well chains agree with each other and with themselves; NaN where the traces do not say."""

    #: Potential scale reduction R̂ of the split chains.
    r_hat: float
    #: Number of independent draws with the same variance of the mean.
    effective_sample_size: float
    #: Standard error of the mean over all draws of all chains, in the traces' units.
    standard_error: float


def compute_mixing(traces: torch.Tensor) -> Mixing:
    """Returns split-R̂, effective sample size and Monte Carlo standard error of chains.

    Every chain is cut into halves (the middle draw of an odd number is left out), giving M chains of N draws. With W
    the mean of their variances, B / N the variance of their means (both unbiased) and V = (N − 1) W / N + B / N,

        R̂ = √(V / W),    ESS = M N / τ,    τ = −1 + 2 Σ_k P_k,    standard error = √(V / ESS).

    P_k = ρ_2k + ρ_2k+1 are Geyer's pairs of the combined autocorrelations ρ_t = 1 − (W − mean_m s_m² ρ_t,m) / V, up to
    the last before one is not positive, and made decreasing. τ is at least 1 / log10(M N).

    Says whether the draws are of one distribution: R̂ above about 1.01 to 1.1 says they are not yet.

    Properties: R̂ ≥ √((N − 1) / N); all three unchanged under a shift of the traces and under the order of the chains;
    R̂ and ESS under a change of scale and sign. Traces are taken as they are, not replaced by ranks. Chains
    that all start at one point can agree before they have spread.

    Args:
        traces: real, shape (num_chains, num_draws), finite.

    Returns:
        Everything NaN for no chain, fewer than :data:`LEAST_DRAWS` draws, or traces that do not vary.

    Reference:
        Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Analysis 16 (2021) 667, Eq. 1-4 and 10-13.

    Example:
        >>> mixing = compute_mixing(torch.randn(4, 500, generator=torch.Generator().manual_seed(0)))
        >>> assert abs(mixing.r_hat - 1) < 0.02 and 1500 < mixing.effective_sample_size < 2500
    """
    half = traces.shape[1] // 2
    if len(traces) == 0 or traces.shape[1] < LEAST_DRAWS:
        return Mixing(r_hat=math.nan, effective_sample_size=math.nan, standard_error=math.nan)
    halves = torch.cat([traces[:, :half], traces[:, -half:]]).to(torch.float64)
    halves = halves - halves[:, :1].mean()  # traces that do not vary are then exactly zero
    within = halves.var(dim=1).mean()
    total = within * (half - 1) / half + halves.mean(dim=1).var()
    if not within > 0:
        return Mixing(r_hat=math.nan, effective_sample_size=math.nan, standard_error=math.nan)
    correlations = 1 - (within - _autocovariances(halves).mean(dim=0)) / total
    time = max(_sum_of_pairs(correlations), 1 / math.log10(halves.numel()))
    size = halves.numel() / time
    return Mixing(
        r_hat=(total / within).sqrt().item(),
        effective_sample_size=size,
        standard_error=(total / size).sqrt().item(),
    )


def _autocovariances(traces: torch.Tensor) -> torch.Tensor:
    """Returns s_m² ρ_t,m at every lag t, shape (num_chains, num_draws): sums over N − t products, over N − 1."""
    num_draws = traces.shape[1]
    centred = traces - traces.mean(dim=1, keepdim=True)
    spectrum = torch.fft.rfft(centred, n=2 * num_draws).abs().square()  # padded: no lag wraps around
    return torch.fft.irfft(spectrum, n=2 * num_draws)[:, :num_draws] / (num_draws - 1)


def _sum_of_pairs(correlations: torch.Tensor) -> float:
    """Returns the integrated autocorrelation time −1 + 2 Σ P_k of Geyer's initial monotone sequence."""
    num_pairs = len(correlations) // 2
    pairs = correlations[: 2 * num_pairs].reshape(num_pairs, 2).sum(dim=1).tolist()
    total, least = 0.0, math.inf
    for pair in pairs:
        if pair <= 0:
            break
        least = min(least, pair)
        total += least
    return 2 * total - 1
