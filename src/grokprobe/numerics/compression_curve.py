"""What the accuracy of a compressed network says as a function of the amount."""

from dataclasses import dataclass
from typing import Final

import numpy as np

#: Accuracy that counts as nearly unharmed.
NEARLY: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveSummary:
    """Numbers of one or more curves; float64 of the curves' leading shape.

    NaN if an accuracy of the curve is NaN; the first three also if the grid is a single amount.
    """

    #: a = ∫ a(p) dp over the grid's range, divided by its length, in [0, 1].
    area: np.ndarray
    #: c = 1 / (1 − a), at least 1.
    compressibility: np.ndarray
    #: How far above c the value for the curve between the grid points can lie, see :func:`summarise_curve`.
    compressibility_error: np.ndarray
    #: Largest amount with accuracy ≥ 0.95 there and at all smaller ones; NaN where it is less at the first amount.
    amount_at_95: np.ndarray
    #: The same with 0.95 times the accuracy at the first amount; NaN where that accuracy is zero.
    amount_at_95_relative: np.ndarray


def summarise_curve(amounts: np.ndarray, accuracies: np.ndarray) -> CurveSummary:
    """Computes area, compressibility and the amounts that accuracy survives, from accuracies on a grid of amounts.

    The area is that of the trapezoids. Its complement d = 1 − a is summed from 1 − a(p), so it is exact where accuracy
    is 1, and c = 1/d. With amounts of pruning, c is the factor by which the network could be smaller if accuracy were a
    step from 1 to 0 at the mean amount; it grows while a network is encoded in fewer of its weights.

    **Largest value.** With N equal steps the last trapezoid alone has 1 − a(1) in it, so 1 ≤ c ≤ 2N / (1 − a(1)): c of
    a network that holds out to the last step is a statement about the grid. If accuracy is 1 at every amount, the last
    included, c is infinite: the fully compressed network, a constant guess, is right on every sample.

    **Error of the grid.** Where the curve is monotone within each step, its area in a step lies between the two
    rectangles, so the area is within e = Σ h |Δa| / 2 of the trapezoids', which for a curve that falls throughout is
    half a step times its total fall. Hence the true c lies in [1/(d + e), 1/(d − e)], and the error is that of the
    upper end, the farther one: 1/(d − e) − c, infinite if d ≤ e, when the grid cannot tell.

    Nothing is interpolated in the two amounts at 95 %: they are grid points.

    Args:
        amounts: increasing, shape (num_amounts,).
        accuracies: in [0, 1], shape (…, num_amounts).

    Reference:
        Manning-Coe et al., arXiv 2502.01739, Eq. 5.

    Example:
        >>> step = summarise_curve(np.arange(5) / 4, np.array([1.0, 1.0, 1.0, 0.0, 0.0]))
        >>> assert step.area == 0.625 and step.amount_at_95 == 0.5
    """
    accuracies = np.asarray(accuracies, dtype=np.float64)
    steps = np.diff(amounts)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = steps / steps.sum()
        means = (accuracies[..., 1:] + accuracies[..., :-1]) / 2
        area, missing = _integrate(means, weights), _integrate(1 - means, weights)
        deviation = _integrate(np.abs(np.diff(accuracies)) / 2, weights)
        compressibility = 1 / missing
        largest = np.where(missing > deviation, 1 / (missing - deviation), np.inf)
        error = np.where(np.isinf(compressibility), np.inf, largest - compressibility)
    first = accuracies[..., :1]
    return CurveSummary(
        area=area,
        compressibility=compressibility,
        compressibility_error=np.where(np.isnan(compressibility), np.nan, error),
        amount_at_95=_find_last(amounts, accuracies, accuracies >= NEARLY),
        amount_at_95_relative=_find_last(amounts, accuracies, (accuracies >= NEARLY * first) & (first > 0)),
    )


def _integrate(means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (means * weights).sum(axis=-1) if len(weights) else np.full(means.shape[:-1], np.nan)


def _find_last(amounts: np.ndarray, accuracies: np.ndarray, holds: np.ndarray) -> np.ndarray:
    """Returns the amount before the first at which ``holds`` is false; NaN if there is none, or an accuracy is NaN."""
    num_held = np.logical_and.accumulate(holds, axis=-1).sum(axis=-1)
    is_defined = (num_held > 0) & ~np.isnan(accuracies).any(axis=-1)
    return np.where(is_defined, amounts[np.maximum(num_held, 1) - 1], np.nan)
