"""The local learning coefficient from the losses that chains saw."""

from dataclasses import dataclass

import torch

from grokprobe_llc.langevin import Chains
from grokprobe_llc.mixing import Mixing, compute_mixing


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """The estimate of a set of chains; NaN where nothing is known."""

    #: λ̂ of each chain, shape (num_chains,), float64; NaN for one that diverged.
    of_chains: torch.Tensor
    #: Mean over the chains that did not diverge.
    mean: float
    #: Standard error of the mean from the spread between chains; NaN for fewer than two.
    error: float
    #: λ̂ of the second half of the draws less that of the first, mean over chains.
    drift: float
    #: How well the chains have mixed, with losses in the units of λ̂.
    mixing: Mixing
    #: Share of the chains that diverged.
    diverged_fraction: float


def compute_coefficient(chains: Chains, loss_factor: float) -> Coefficient:
    """Returns λ̂ = n β (E[L_n(w)] − L_n(w*)) with the mean over draws for the expectation.

    It is half the number of parameters where the loss is a regular quadratic and n is large, and less where the loss
    is degenerate: an effective number of parameters, of which there are fewer the flatter the loss about w* is.
    It may be negative where w* is not a minimum.

    Args:
        chains: whose losses are L_n(w) − L_n(w*).
        loss_factor: n β, positive.

    Reference:
        Lau, Furman, Wang, Murfet and Wei, arXiv 2308.12108.

    Example:
        >>> losses = torch.tensor([[1.0, 3.0, 1.0, 3.0], [2.0, 2.0, 4.0, 4.0]])
        >>> ok = torch.tensor([False, False])
        >>> found = compute_coefficient(Chains(losses=losses, acceptance=losses[:, 0], has_diverged=ok), 2.0)
        >>> assert (found.of_chains.tolist(), found.mean, found.drift) == ([4, 6], 5, 2)
    """
    traces = loss_factor * chains.losses.to(torch.float64)
    of_chains = traces.mean(dim=1).where(~chains.has_diverged, torch.nan)
    sound = traces[~chains.has_diverged]
    half = traces.shape[1] // 2
    drifts = sound[:, -half:].mean(dim=1) - sound[:, :half].mean(dim=1)
    means = sound.mean(dim=1)
    return Coefficient(
        of_chains=of_chains,
        mean=means.mean().item(),
        error=(means.std() / len(means) ** 0.5).item() if len(means) > 1 else torch.nan,
        drift=drifts.mean().item() if half else torch.nan,
        mixing=compute_mixing(sound),
        diverged_fraction=chains.has_diverged.double().mean().item(),
    )
