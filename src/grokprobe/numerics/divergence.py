"""How far two networks are apart as functions: the divergence of what they say about the same inputs."""

import torch

from grokprobe.errors import UsageError
from grokprobe.numerics.output_fisher import LIKELIHOODS, LikelihoodName


def compute_divergences(outputs: torch.Tensor, others: torch.Tensor, likelihood: LikelihoodName) -> torch.Tensor:
    """Computes the Kullback–Leibler divergence KL(p ‖ q) = E_{y~p}[ln p(y) − ln q(y)] for every sample.

    - ``categorical``: p and q are softmax of the outputs: Σ_c p_c (ln p_c − ln q_c);
    - ``gaussian``: p and q are normal with unit variance around the outputs: ½ |f − f'|².

    To second order in a step s of the parameters its mean over samples is ½ sᵀ g s with g the exact Fisher metric:
    this is what makes a step in that metric a change of the function.

    Args:
        outputs: of p, shape (num_samples, …).
        others: of q, the same shape.
        likelihood: what the outputs parametrise.

    Returns:
        In nats, float64 of shape (num_samples,), at least 0 and 0 for equal distributions; rounding is clipped.

    Raises:
        UsageError: an unknown likelihood.

    Reference:
        arXiv 2502.01739, Eq. 16.

    Example:
        >>> logits, others = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.02, 0.0]])
        >>> divergence = compute_divergences(logits, others, "categorical").item()
        >>> assert abs(divergence - 0.5 * 0.25 * 0.02**2) < 1e-8  # ½ sᵀ (diag p − p pᵀ) s
    """
    left, right = (values.detach().to(torch.float64).flatten(start_dim=1) for values in (outputs, others))
    if likelihood == "gaussian":
        return (left - right).square().sum(dim=1) / 2
    if likelihood != "categorical":
        raise UsageError(f"divergence: expected a likelihood among {', '.join(LIKELIHOODS)}, found {likelihood!r}")
    log_left, log_right = left.log_softmax(dim=1), right.log_softmax(dim=1)
    ratio = log_right - log_left
    # Σ q − p − p ln(q/p) is the same sum, and each of its terms is at least 0: small divergences do not cancel
    near = log_left.exp() * (torch.expm1(ratio) - ratio)
    far = log_right.exp() - log_left.exp() * (1 + ratio)
    return near.where(ratio.abs() < 1, far).clamp(min=0.0).sum(dim=1)
