"""Two runs where they perform equally well."""

from dataclasses import dataclass
from typing import Final

import numpy as np

#: Natural logarithms of two losses that are called equal differ by less.
NEAR: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualLoss:
    """Where a run comes nearest to a loss."""

    #: The epoch.
    epoch: int
    #: Its loss there.
    loss: float
    #: The loss that was looked for.
    target: float

    @property
    def is_near(self) -> bool:
        """Whether the natural logarithms of the two differ by less than 0.1."""
        return abs(float(np.log(self.loss) - np.log(self.target))) < NEAR


def find_equal_loss(epochs: np.ndarray, losses: np.ndarray, target: float) -> EqualLoss | None:
    """Returns the recorded epoch at which a loss is nearest to a given one, by the logarithm.

    Two encodings of the same performance are compared there, and not where one run has merely been trained for longer.

    Args:
        epochs: in ascending order.
        losses: at these epochs; where one is not positive and finite it is left out.
        target: the loss to find.

    Returns:
        The first of the nearest; None where no loss, or not the target, is positive and finite.

    Example:
        >>> found = find_equal_loss(np.array([0, 5, 10]), np.array([4.0, 1.0, 0.5]), 1.05)
        >>> assert found.epoch == 5 and found.is_near
    """
    is_known = np.isfinite(losses) & (losses > 0)
    if not is_known.any() or not (np.isfinite(target) and target > 0):
        return None
    place = int(np.argmin(np.abs(np.log(losses[is_known]) - np.log(target))))
    return EqualLoss(epoch=int(epochs[is_known][place]), loss=float(losses[is_known][place]), target=float(target))
