"""Inequality of non-negative numbers."""

import torch


def compute_gini(values: torch.Tensor) -> torch.Tensor:
    """Gini coefficient of ``values``: half their mean absolute difference, relative to their mean.

    G = Σ_i Σ_j |x_i − x_j| / (2 n² x̄), the population form over all n² ordered pairs, computed from the sorted values
    as Σ_i (2i − n − 1) x_(i) / (n Σ x).

    High inequality of the magnitudes of weights, or of a Fisher diagonal, says that few parameters carry the function.

    Properties: in [0, 1 − 1/n]; 0 for equal values, 1 − 1/n for a single non-zero one; invariant to scale and to order.

    Args:
        values: any shape, non-negative.

    Returns:
        A float64 scalar; NaN if all values are zero, if there are none, or if one is not finite.

    Reference:
        C. Gini, Variabilità e mutabilità, 1912; for weights and Fisher diagonal arXiv 2502.01739, appendix.

    Example:
        >>> assert compute_gini(torch.tensor([0.0, 0.0, 0.0, 5.0])) == 0.75
    """
    ordered = values.detach().to(torch.float64).flatten().sort().values
    num_values = len(ordered)
    ranks = torch.arange(1, num_values + 1, dtype=torch.float64, device=ordered.device)
    return ((2 * ranks - num_values - 1) * ordered).sum() / (num_values * ordered.sum())
