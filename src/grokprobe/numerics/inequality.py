"""Inequality of non-negative numbers."""

import numpy as np
import torch

from grokprobe.numerics.blocks import BLOCK_ELEMENTS


def compute_gini(values: torch.Tensor) -> torch.Tensor:
    """Gini coefficient of ``values``: half their mean absolute difference, relative to their mean.

    G = Σ_i Σ_j |x_i − x_j| / (2 n² x̄), the population form over all n² ordered pairs, computed from the sorted values
    as Σ_i (2i − n − 1) x_(i) / (n Σ x).

    High inequality of the magnitudes of weights, or of a Fisher diagonal, says that few parameters carry the function.

    Properties: in [0, 1 − 1/n]; 0 for equal values, 1 − 1/n for a single non-zero one; invariant to scale and to order.

    Args:
        values: any shape and floating-point type, non-negative. Many are sorted in their own type, or counted where it
            has sixteen bits, and summed in float64.

    Returns:
        A float64 scalar; NaN if all values are zero, if there are none, or if one is not finite.

    Reference:
        C. Gini, Variabilità e mutabilità, 1912; for weights and Fisher diagonal arXiv 2502.01739, appendix.

    Example:
        >>> assert compute_gini(torch.tensor([0.0, 0.0, 0.0, 5.0])) == 0.75
    """
    flat = values.detach().reshape(-1)
    if len(flat) > BLOCK_ELEMENTS and flat.dtype.itemsize == 2:
        return _from_counts(flat)
    is_large = len(flat) > BLOCK_ELEMENTS and flat.device.type == "cpu"
    # numpy sorts without the place of each value, which takes eight bytes
    ordered = torch.from_numpy(np.sort(flat.numpy())) if is_large else flat.sort().values
    num_values, seen = len(ordered), 0
    weighted = total = torch.zeros((), dtype=torch.float64, device=ordered.device)
    for block in ordered.split(BLOCK_ELEMENTS):
        dense = block.to(torch.float64)
        ranks = torch.arange(seen + 1, seen + len(block) + 1, dtype=torch.float64, device=block.device)
        weighted = weighted + ((2 * ranks - num_values - 1) * dense).sum()
        total = total + dense.sum()
        seen += len(block)
    return weighted / (num_values * total)


def _from_counts(values: torch.Tensor) -> torch.Tensor:
    """Returns the coefficient from how often each of the values of a type of sixteen bits occurs.

    The bits of a non-negative number, read as an integer, are in the order of the numbers. The c values of one kind
    with s smaller ones before them have Σ (2i − n − 1) = c (2s + c − n).
    """
    counts = torch.zeros(1 << 15, dtype=torch.int64, device=values.device)
    for block in values.view(torch.int16).split(BLOCK_ELEMENTS):
        counts += torch.bincount(block.to(torch.int64), minlength=len(counts))
    occurring = counts.nonzero().flatten()
    kinds = occurring.to(torch.int16).view(values.dtype).to(torch.float64)
    number = counts[occurring].to(torch.float64)
    before = number.cumsum(0) - number
    return (number * (2 * before + number - len(values)) * kinds).sum() / (len(values) * (number * kinds).sum())
