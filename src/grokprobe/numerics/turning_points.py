"""Where a sampled curve turns: running median, gradient, its zero crossings, and the rise between two of them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

#: Width of the running median.
MEDIAN_WIDTH: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A change of sign of a sampled curve."""

    #: Where, by linear interpolation.
    place: float
    #: Whether the curve is negative before and positive after.
    is_upward: bool
    #: Index of the last sample before, and of the first one after, that are not zero.
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """A rise of a curve from a minimum to the maximum after it."""

    #: Place of the minimum; NaN if there is no rise.
    start: float = float("nan")
    #: Place of the maximum; NaN if there is no rise.
    stop: float = float("nan")
    #: Largest over smallest value of the rise; NaN if there is no rise.
    ratio: float = float("nan")
    #: Samples from the last one before the minimum to the first one after the maximum.
    num_samples: int = 0
    #: How many crossings of zero the gradient has; a rise takes two of them.
    num_crossings: int = 0


def find_even_stretches(places: np.ndarray, widths: np.ndarray) -> Iterator[slice]:
    """Yields the longest stretches in which samples are evenly spaced and stand for steps of one width.

    A sample that could belong to two stretches belongs to the earlier one, so that none overlap. A schedule that
    becomes sparser has one stretch per spacing: a long step of a path that is not straight has less length per epoch
    than the short steps it replaces, so the two are not samples of one curve.

    Args:
        places: ascending, shape (n,).
        widths: of the step that each sample stands for, shape (n,); a sample whose width is NaN is in no stretch.

    Example:
        >>> places, widths = np.array([0, 1, 2, 3, 13, 23]), np.array([1, 1, 1, 10, 10, np.nan])
        >>> assert list(find_even_stretches(places, widths)) == [slice(0, 3), slice(3, 5)]
    """
    start = 0
    while start < len(places):
        stop = start + 1
        if np.isfinite(widths[start]):
            while (
                stop < len(places)
                and widths[stop] == widths[start]
                and places[stop] - places[stop - 1] == places[start + 1] - places[start]
            ):
                stop += 1
            yield slice(start, stop)
        start = stop


def compute_running_median(values: np.ndarray, width: int = MEDIAN_WIDTH) -> np.ndarray:
    """Returns the median of each value and its neighbours, ``width`` in all.

    It removes single outliers and keeps monotone curves as they are.

    Args:
        values: shape (n,).
        width: odd.

    Returns:
        Shape (n,); NaN where the window reaches beyond an end or holds a NaN.

    Example:
        >>> assert compute_running_median(np.array([1.0, 2.0, 99.0, 4.0, 5.0]))[2] == 4
    """
    medians = np.full(len(values), np.nan)
    if len(values) >= width:
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(values, dtype=np.float64), width)
        medians[width // 2 : len(values) - width // 2] = np.median(windows, axis=1)
    return medians


def compute_central_gradient(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns (v_{i+1} − v_{i−1}) / (x_{i+1} − x_{i−1}); NaN at both ends, and where a value is NaN.

    It belongs to its place, while a difference of two neighbours belongs half-way between them.

    Args:
        places: x, ascending, shape (n,).
        values: v, shape (n,).

    Example:
        >>> assert compute_central_gradient(np.arange(4), np.arange(4) ** 2)[1:3].tolist() == [2, 4]
    """
    gradient = np.full(len(values), np.nan)
    gradient[1:-1] = (values[2:] - values[:-2]) / (places[2:] - places[:-2])
    return gradient


def find_zero_crossings(places: np.ndarray, values: np.ndarray) -> tuple[Crossing, ...]:
    """Returns where a curve changes its sign, by linear interpolation, ascending.

    Zeros between two values of opposite sign are passed over: the crossing lies on the line that joins these two.
    A curve that touches zero and turns back does not cross. Nothing is sought across a NaN.

    Args:
        places: ascending, shape (n,).
        values: shape (n,).

    Example:
        >>> crossings = find_zero_crossings(np.arange(5), np.array([1.0, 3.0, -1.0, np.nan, 1.0]))
        >>> assert [(crossing.place, crossing.is_upward) for crossing in crossings] == [(1.75, False)]
    """
    crossings: list[Crossing] = []
    last: int | None = None
    for here, value in enumerate(values):
        if np.isnan(value):
            last = None
        elif value != 0:
            if last is not None and (value > 0) != (values[last] > 0):
                share = values[last] / (values[last] - value)
                place = float(places[last] + share * (places[here] - places[last]))
                crossings.append(Crossing(place=place, is_upward=bool(value > 0), before=last, after=here))
            last = here
    return tuple(crossings)


def find_longest_rise(places: np.ndarray, values: np.ndarray) -> Rise:
    """Finds the longest rise of a smooth curve from a minimum to the next maximum.

    Minimum and maximum are successive zero crossings of the central gradient, upward and downward. The speed of a run
    that groks falls, rises again to a maximum, and falls for good: the rise is the grokking period of the paper. A run
    without such a period has some rise, too, which is noise: it spans a few samples and crossings are many. Noise at a
    late time, where the speed is small, has large ratios, and at an early time large differences: it never lasts.

    Properties: the places do not change under a positive factor of the values; nor does the ratio.

    Args:
        places: ascending, evenly spaced, shape (n,).
        values: positive, smoothed, shape (n,).

    Returns:
        The rise of the most samples, the first one if there are several; undefined where the gradient does not cross
        zero upward and downward after it.

    Reference:
        arXiv 2502.01739, Fig. 33, where the crossings are two.

    Example:
        >>> x = np.arange(101)
        >>> rise = find_longest_rise(x, 2 + np.cos(2 * np.pi * x / 80))
        >>> assert rise.num_crossings == 2 and round(rise.start) == 40 and round(rise.stop) == 80
        >>> assert abs(rise.ratio - 3) < 1e-12
    """
    crossings = find_zero_crossings(places, compute_central_gradient(places, values))
    best = Rise(num_crossings=len(crossings))
    for first, second in itertools.pairwise(crossings):
        inside = values[first.before : second.after + 1]
        if not first.is_upward or not inside.min() > 0:  # nor where a NaN lies between them
            continue
        if len(inside) > best.num_samples:
            best = Rise(
                start=first.place,
                stop=second.place,
                ratio=float(inside.max() / inside.min()),
                num_samples=len(inside),
                num_crossings=len(crossings),
            )
    return best
