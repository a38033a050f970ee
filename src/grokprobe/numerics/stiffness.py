"""Which parameters, or which directions, are stiff: those that the outputs respond to most."""

from typing import Final, Literal

import torch

#: ``absolute``: from a value on. ``relative``: from a fraction of the largest on. ``gap``: above the widest gap.
StiffRule = Literal["absolute", "relative", "gap"]

#: Stiffness below this fraction of the largest is not searched for gaps: the tail of a spectrum is full of them.
GAP_RANGE: Final = 1e-8


def compute_stiff_threshold(stiffness: torch.Tensor, rule: StiffRule, threshold: float) -> float:
    """Computes the stiffness from which on something is stiff.

    - ``absolute``: ``threshold`` itself;
    - ``relative``: ``threshold`` times the largest stiffness;
    - ``gap``: sorted descending, the last value before the largest ratio of a value to the next one, among those of at
      least 10⁻⁸ of the largest; the first such gap if there are several. ``threshold`` does not matter.

    A wide gap says that the split is a property of the network; where there is none the answer depends on the
    threshold.

    Args:
        stiffness: diagonal entries or eigenvalues of a Fisher matrix, at least 0, any shape.
        rule: see above.
        threshold: above 0.

    Returns:
        The smallest stiffness that counts as stiff; infinite where nothing can: no positive value, or, for ``gap``,
        fewer than two values to have a gap between.

    Reference:
        arXiv 2502.01739, App. G.3, which speaks of the gap and uses the value 0.1.

    Example:
        >>> diagonal = torch.tensor([0.01, 5.0, 3.0, 0.02])
        >>> assert (diagonal >= compute_stiff_threshold(diagonal, "gap", 0.1)).tolist() == [False, True, True, False]
    """
    values = stiffness.detach().to(torch.float64).flatten()
    largest = values.max().item() if values.numel() else 0.0
    if not largest > 0:
        return float("inf")
    if rule == "absolute":
        return threshold
    if rule == "relative":
        return threshold * largest
    ordered = values[values >= GAP_RANGE * largest].sort(descending=True).values
    if len(ordered) < 2:
        return float("inf")
    return ordered[(ordered[:-1] / ordered[1:]).argmax()].item()
