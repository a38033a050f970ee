"""Norms and angles of tangent vectors, from their inner products alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from grokprobe.errors import VariableError

UNDEFINED: Final = float("nan")
#: A squared norm below zero by at most this much of the largest one is rounding.
SQUARE_TOLERANCE: Final = 1e-12
#: A cosine beyond ±1 by at most this much is rounding: inner products come from forward passes in float32.
COSINE_TOLERANCE: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerProducts:
    """The Gram matrix ⟨v_i, v_j⟩ of named tangent vectors in one metric at one point.

    A tangent that is not there is undefined, as is all that is asked about it.
    """

    #: Row and column of each tangent.
    places: Mapping[str, int]
    #: Shape (n, n), float64, symmetric, positive semi-definite.
    gram: torch.Tensor

    def norm(self, name: str) -> float:
        """Returns |v| = √⟨v, v⟩, at least 0; NaN where there is no such tangent or the product is not finite.

        Raises:
            VariableError: ⟨v, v⟩ < 0 by more than rounding: this is no metric.
        """
        if name not in self.places:
            return UNDEFINED
        squares = self.gram.diagonal()
        square, largest = squares[self.places[name]].item(), squares.abs().max().item()
        if square < -SQUARE_TOLERANCE * largest:
            raise VariableError(f"inner product of {name!r} with itself: expected at least 0, found {square!r}")
        return math.sqrt(max(0.0, square)) if math.isfinite(square) else UNDEFINED

    def cosine(self, first: str, second: str, smallest: Sequence[float] = (0.0, 0.0)) -> float:
        """Returns ⟨v, w⟩ / (|v| |w|) in [−1, 1].

        Properties: invariant to positive factors of v, of w and of the metric.

        Args:
            first: name of v.
            second: name of w.
            smallest: norms up to which v and w are rounding and have no direction.

        Returns:
            The cosine; NaN where a tangent is missing, its norm is at most its smallest one, or not finite.

        Raises:
            VariableError: beyond ±1 by more than rounding: this is no metric.

        Example:
            >>> gram = torch.tensor([[4.0, 2.0], [2.0, 4.0]], dtype=torch.float64)
            >>> products = InnerProducts(places={"v": 0, "w": 1}, gram=gram)
            >>> assert (products.norm("v"), products.cosine("v", "w")) == (2.0, 0.5)
        """
        norms = (self.norm(first), self.norm(second))
        if not all(norm > limit for norm, limit in zip(norms, smallest, strict=True)):
            return UNDEFINED
        product = self.gram[self.places[first], self.places[second]].item()
        cosine = product / norms[0] / norms[1]
        if abs(cosine) > 1 + COSINE_TOLERANCE:
            raise VariableError(f"cosine of {first!r} and {second!r}: expected at most 1, found {cosine!r}")
        return min(1.0, max(-1.0, cosine)) if math.isfinite(cosine) else UNDEFINED


def compute_angle(cosine: float) -> float:
    """Returns arccos of a cosine in [−1, 1]: an angle in [0, π] radians; NaN of NaN.

    Near 0 and π the angle resolves no less than √(2ε) ≈ 2·10⁻⁸, because the cosine is flat there.

    Example:
        >>> assert compute_angle(1.0) == 0 and abs(compute_angle(0.0) - math.pi / 2) < 1e-15
    """
    return math.acos(cosine) if math.isfinite(cosine) else UNDEFINED
