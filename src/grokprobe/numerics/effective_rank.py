"""How many directions the variance of features is spread over."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveRank:
    """Two counts of directions, both between 1 and the rank; NaN where the features do not vary."""

    #: (Σ λ)² / Σ λ² of the eigenvalues λ of the covariance.
    participation_ratio: float
    #: exp(−Σ p ln p) of the shares p = σ / Σ σ of the singular values σ = √λ.
    entropy_rank: float


def compute_effective_rank(gram: torch.Tensor, rounding: float = 0.0) -> EffectiveRank:
    """Computes the participation ratio and the entropy rank of features from their Gram matrix.

    The entropy rank takes the singular values, not the variances, and so counts weak directions more; it is the larger
    of the two in practice. A falling rank of hidden features shows a network that compresses what it represents.

    Properties: invariant to rotations and to isotropic scaling of the features; both are d for d uncorrelated features
    of one variance, and 1 for a single direction. White noise of d features on n samples has a participation ratio of
    about d n / (n + d).

    Args:
        gram: XᵀX of centred features X, shape (d, d), float64, symmetric.
        rounding: singular values of X up to this are rounding and count as zero. So do those with σ² ≤ d ε σ_max²,
            ε = 2.2e-16, which the Gram matrix cannot hold.

    Reference:
        participation ratio: Gao et al., bioRxiv 214262 (2017); entropy rank: Roy and Vetterli, EUSIPCO 2007.

    Example:
        >>> rank = compute_effective_rank(torch.eye(3, dtype=torch.float64))
        >>> assert abs(rank.participation_ratio - 3) < 1e-12 and abs(rank.entropy_rank - 3) < 1e-12
    """
    undefined = EffectiveRank(participation_ratio=float("nan"), entropy_rank=float("nan"))
    if not gram.isfinite().all():
        return undefined
    eigenvalues = torch.linalg.eigvalsh(gram)
    lowest = max(rounding**2, len(gram) * torch.finfo(gram.dtype).eps * eigenvalues[-1].item())
    variances = eigenvalues[eigenvalues > lowest]
    if len(variances) == 0:
        return undefined
    shares = variances / variances.sum()
    weights = variances.sqrt() / variances.sqrt().sum()
    return EffectiveRank(
        participation_ratio=1 / shares.square().sum().item(),
        entropy_rank=(-(weights * weights.log()).sum()).exp().item(),
    )
