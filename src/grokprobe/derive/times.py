"""When an accuracy rises: several definitions, from the same curve."""

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

UNDEFINED: Final = float("nan")
#: A curve has arrived where it first reaches this fraction of its own maximum.
ARRIVAL_FRACTION: Final = 0.95
#: The fraction in the authors' script.
AUTHORS_FRACTION: Final = 0.9
#: A curve that has settled does not fall below this fraction of its maximum again.
HOLDING_FRACTION: Final = 0.9
#: A curve that never rises by this fraction of the way from chance to 1 has not learned, and arrives nowhere.
LEARNED_FRACTION: Final = 0.5
#: The plateau ends where a curve has come this fraction of the way from chance to its maximum.
DEPARTURE_FRACTION: Final = 0.1
#: Known values per running median.
SMOOTHING_WIDTH: Final = 5


def compute_arrival(
    epochs: np.ndarray, accuracy: np.ndarray, chance: float, fraction: float = ARRIVAL_FRACTION
) -> float:
    """Returns the first epoch at which ``accuracy`` reaches ``fraction`` of its own maximum over the run.

    NaN unless the maximum reaches chance + ½ (1 − chance), so that a run that never learns does not arrive.
    Epochs at which the accuracy is NaN do not count.

    Properties: a larger fraction never gives an earlier epoch; what comes after the arrival and reaches no higher
    changes nothing, so a single lucky epoch counts: :func:`compute_settling` asks for more.

    Args:
        epochs: ascending, shape (n,).
        accuracy: in [0, 1], shape (n,).
        chance: accuracy of guessing, in [0, 1).
        fraction: in (0, 1]; 0.95 is within 5 % of the maximum, 0.9 the authors' script.

    Reference: arXiv 2502.01739, Definition 1.

    Example:
        >>> compute_arrival(np.array([0, 1, 2, 3]), np.array([0.1, 0.5, 0.96, 1.0]), chance=0.1)
        2.0
    """
    epochs, accuracy = _known(epochs, accuracy)
    if not _has_learned(accuracy, chance):
        return UNDEFINED
    return float(epochs[np.argmax(accuracy >= fraction * accuracy.max())])


def compute_settling(
    epochs: np.ndarray,
    accuracy: np.ndarray,
    chance: float,
    upper: float = ARRIVAL_FRACTION,
    lower: float = HOLDING_FRACTION,
) -> float:
    """Returns the first epoch at which ``accuracy`` reaches ``upper`` of its maximum and from which it holds ``lower``.

    The crossing with hysteresis: accuracy(e) ≥ upper · max, and accuracy(e') ≥ lower · max at every known e' > e. A
    switch that turns on at the upper threshold and off below the lower one is turned on for good at this epoch.

    NaN under the conditions of :func:`compute_arrival`, and for a run that ends before it has settled.

    Properties: never before the arrival at ``upper``, and equal to it for a curve that does not fall; a late dip moves
    it behind the dip.

    Args:
        epochs: ascending, shape (n,).
        accuracy: in [0, 1], shape (n,).
        chance: accuracy of guessing, in [0, 1).
        upper: in (0, 1].
        lower: in [0, upper].

    Example:
        >>> accuracy = np.array([0.1, 1.0, 0.3, 0.92, 0.96, 0.91, 1.0])
        >>> compute_settling(np.arange(7), accuracy, chance=0.1)
        4.0
    """
    epochs, accuracy = _known(epochs, accuracy)
    if not _has_learned(accuracy, chance):
        return UNDEFINED
    peak = accuracy.max()
    low = np.flatnonzero(accuracy < lower * peak)
    start = low[-1] + 1 if low.size else 0
    high = np.flatnonzero(accuracy[start:] >= upper * peak)
    return float(epochs[start + high[0]]) if high.size else UNDEFINED


def compute_steepest_rise(epochs: np.ndarray, accuracy: np.ndarray, chance: float) -> float:
    """Returns the epoch that ends the steepest rise of ``accuracy``, the first of several.

    The rise between neighbouring known epochs is (a_{i+1} − a_i) / (e_{i+1} − e_i), per epoch, of the running median
    over :data:`SMOOTHING_WIDTH` known values (fewer, and as many on both sides, at the ends). The median of an odd
    number of values keeps every step and every monotone curve as it is, and drops outliers of up to two values.

    NaN under the conditions of :func:`compute_arrival`, and where nothing rises: a curve that begins at its maximum.

    Properties: moves and stretches with the epochs; the step of a step-shaped curve, as is its arrival.

    Args:
        epochs: ascending, shape (n,).
        accuracy: in [0, 1], shape (n,).
        chance: accuracy of guessing, in [0, 1).

    Example:
        >>> compute_steepest_rise(np.arange(6), np.array([0.1, 0.2, 0.3, 0.9, 0.95, 1.0]), chance=0.1)
        3.0
    """
    epochs, accuracy = _known(epochs, accuracy)
    if len(accuracy) < 2 or not _has_learned(accuracy, chance):
        return UNDEFINED
    slopes = np.diff(smooth(accuracy)) / np.diff(epochs)
    steepest = int(np.argmax(slopes))
    return float(epochs[steepest + 1]) if slopes[steepest] > 0 else UNDEFINED


def compute_plateau_end(epochs: np.ndarray, accuracy: np.ndarray, chance: float) -> float:
    """Returns the first epoch at which the smoothed ``accuracy`` has left the level of chance.

    It has where it reaches chance + 0.1 (max − chance) with the maximum of the unsmoothed curve; the running median is
    that of :func:`compute_steepest_rise`. NaN under the conditions of :func:`compute_arrival`.

    The authors' script asks for 1 % of the maximum instead, which guessing reaches wherever 100 · chance is near 1 or
    above: ``compute_arrival(…, fraction=0.01)`` gives it.

    Args:
        epochs: ascending, shape (n,).
        accuracy: in [0, 1], shape (n,).
        chance: accuracy of guessing, in [0, 1).

    Example:
        >>> compute_plateau_end(np.arange(6), np.array([0.1, 0.1, 0.15, 0.3, 0.8, 1.0]), chance=0.1)
        3.0
    """
    epochs, accuracy = _known(epochs, accuracy)
    if not _has_learned(accuracy, chance):
        return UNDEFINED
    has_left = np.flatnonzero(smooth(accuracy) >= chance + DEPARTURE_FRACTION * (accuracy.max() - chance))
    return float(epochs[has_left[0]]) if has_left.size else UNDEFINED


def smooth(values: np.ndarray) -> np.ndarray:
    """Returns the running median over :data:`SMOOTHING_WIDTH` values, over fewer and symmetrically at the ends.

    Example:
        >>> smooth(np.array([0.0, 9.0, 1.0, 2.0, 0.0])).tolist()
        [0.0, 1.0, 1.0, 1.0, 0.0]
    """
    smoothed = values.copy()
    for reach in range(1, SMOOTHING_WIDTH // 2 + 1):  # the widest window that fits overwrites the narrower ones
        if len(values) > 2 * reach:
            smoothed[reach:-reach] = np.median(sliding_window_view(values, 2 * reach + 1), axis=-1)
    return smoothed


def _known(epochs: np.ndarray, accuracy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    is_known = np.isfinite(accuracy)
    return epochs[is_known], accuracy[is_known]


def _has_learned(accuracy: np.ndarray, chance: float) -> bool:
    return bool(accuracy.size) and bool(accuracy.max() >= chance + LEARNED_FRACTION * (1 - chance))
