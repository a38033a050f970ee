"""Angles between parameters or steps, and how much weights change by their size."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch

NUM_DECILES: Final = 10

#: What a change is relative to: ``decile`` is the size of the decile, ``weight`` is each weight by itself.
Relative = Literal["decile", "weight"]

#: Added to |w| in the denominator of ``weight``.
WEIGHT_OFFSET: Final = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosines:
    """Cosines of two vectors that consist of parts, such as the layers of a network."""

    #: Of each part by itself, float64 of shape (num_parts,).
    parts: torch.Tensor
    #: Of all parts as one vector, a float64 scalar.
    whole: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
    """Inner products of two vectors u and v, float64 scalars."""

    #: ⟨u, v⟩.
    mixed: torch.Tensor
    #: ‖u‖².
    left: torch.Tensor
    #: ‖v‖².
    right: torch.Tensor


def compute_products(pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> Products:
    """Computes the inner products of two vectors that come in blocks: pairs of vectors of one length, in any type."""
    sums = [torch.zeros((), dtype=torch.float64)] * 3
    for left, right in pairs:
        u, v = (part.detach().to(torch.float64).reshape(-1) for part in (left, right))
        sums = [
            total.to(u.device) + torch.dot(*pair) for total, pair in zip(sums, ((u, v), (u, u), (v, v)), strict=True)
        ]
    return Products(mixed=sums[0], left=sums[1], right=sums[2])


def compute_cosines(
    left: Sequence[torch.Tensor], right: Sequence[torch.Tensor], rounding: Sequence[float] | None = None
) -> Cosines:
    """Computes ⟨u, v⟩ / (‖u‖ ‖v‖) of two vectors, part by part and as a whole.

    Between steps it is near 1 where the network moves along a straight line, near 0 where steps are random, negative
    where it oscillates.

    Properties: in [−1, 1]; invariant to a positive factor of either vector, and to one rotation of both.

    Args:
        left: the parts of u, each of any shape.
        right: the parts of v, of the same shapes.
        rounding: as for :func:`combine_cosines`.

    Returns:
        The cosines; NaN where a norm is at most its rounding, or not finite.

    Example:
        >>> cosines = compute_cosines([torch.tensor([1.0, 0.0])], [torch.tensor([1.0, 1.0])])
        >>> assert abs(cosines.whole - 0.5**0.5) < 1e-12
    """
    return combine_cosines([compute_products([pair]) for pair in zip(left, right, strict=True)], rounding)


def combine_cosines(products: Sequence[Products], rounding: Sequence[float] | None = None) -> Cosines:
    """Computes the cosines of :func:`compute_cosines` from the inner products of each part.

    Args:
        products: of each part.
        rounding: for each part, the norm up to which a vector is rounding and has no direction; that of the whole is
            the root of the sum of squares. None for zero.
    """
    mixed, lefts, rights = (
        torch.stack(list(own)) for own in zip(*((part.mixed, part.left, part.right) for part in products), strict=True)
    )
    limits = torch.zeros_like(mixed) if rounding is None else mixed.new_tensor(list(rounding))
    return Cosines(
        parts=_cosine(mixed, lefts, rights, limits),
        whole=_cosine(mixed.sum(), lefts.sum(), rights.sum(), torch.linalg.vector_norm(limits)),
    )


def _cosine(
    product: torch.Tensor, left_square: torch.Tensor, right_square: torch.Tensor, limit: torch.Tensor
) -> torch.Tensor:
    left_norm, right_norm = left_square.sqrt(), right_square.sqrt()
    cosine = product / left_norm / right_norm
    return cosine.where((left_norm > limit) & (right_norm > limit) & cosine.isfinite(), torch.nan)


def compute_decile_changes(
    weights: torch.Tensor, previous: torch.Tensor, relative: Relative = "decile"
) -> torch.Tensor:
    """Computes the relative change of weights by the decile of their magnitude.

    The n weights are put in ascending order of |w|, ties by flat index; the one at place r = 0 … n − 1 belongs to
    decile ⌊10 r / n⌋. With previous values v, the change of a decile D is

    - ``decile``: Σ_D |w − v| / Σ_D |v|, at least 0: the mean change in units of the mean magnitude;
    - ``weight``: the mean over D of (w − v) / (|v| + 1e-8), as the code of arXiv 2502.01739 has it. It has a sign that
      cancels between weights of either sign, and a few weights that were almost zero outweigh all others.

    Whether small or large weights move tells weights that are still being recruited from those that only decay.

    Properties: ``decile`` is invariant to a common factor; −0.1 times a weight's own value makes it 0.1 everywhere.

    Args:
        weights: any shape.
        previous: the same shape.
        relative: what a change is relative to.

    Returns:
        float64 of shape (10,); NaN for a decile without weights, for one whose previous values are all zero (``decile``
        only), and for one that is not finite.

    Example:
        >>> w = torch.arange(1.0, 21.0)
        >>> assert torch.allclose(compute_decile_changes(0.9 * w, w), torch.tensor(0.1, dtype=torch.float64))
    """
    current, earlier = (values.detach().to(torch.float64).flatten() for values in (weights, previous))
    order = current.abs().argsort(stable=True)
    change, magnitude = (current - earlier)[order], earlier.abs()[order]
    deciles = torch.arange(len(order), device=order.device) * NUM_DECILES // max(1, len(order))
    if relative == "decile":
        changes = _sums(change.abs(), deciles) / _sums(magnitude, deciles)
    else:
        changes = _sums(change / (magnitude + WEIGHT_OFFSET), deciles) / torch.bincount(deciles, minlength=NUM_DECILES)
    return changes.where(changes.isfinite(), torch.nan)


def _sums(values: torch.Tensor, deciles: torch.Tensor) -> torch.Tensor:
    return values.new_zeros(NUM_DECILES).index_add(0, deciles, values)
