"""A straight line through one number of each run against another."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from scipy import stats

from grokprobe import names
from grokprobe.derive.labels import assemble_derived
from grokprobe.errors import UsageError
from grokprobe.variables import VariableSpec

UNDEFINED: Final = float("nan")
#: Labels of the dimension ``regime``: runs with groks = 0, and with groks = 1.
REGIMES: Final = ("steady", "grokking")
#: Percentiles of the bootstrap that bound a 95 % interval.
INTERVAL: Final = (2.5, 97.5)
#: Fewer points than this fix a line but say nothing about it.
MIN_POINTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFit:
    """The least-squares line y = intercept + slope · x, and how much there is to it."""

    #: Number n of points at which both x and y are known.
    num_points: int
    #: Σ(x − x̄)(y − ȳ) / Σ(x − x̄)².
    slope: float
    #: ȳ − slope · x̄.
    intercept: float
    #: Share of the variance of y that the line explains, in [0, 1]; NaN if all y are equal.
    r_squared: float
    #: Two-sided p-value of a slope of zero, Student's t with n − 2 degrees of freedom; NaN if all y are equal.
    p_value: float
    #: 95 % percentile interval of the slope over bootstrap samples of points.
    slope_interval: tuple[float, float]
    #: The same for the intercept.
    intercept_interval: tuple[float, float]


def fit_line(x: np.ndarray, y: np.ndarray, *, num_resamples: int = 2000, seed: int = 0) -> LineFit:
    """Fits a straight line by least squares, with a bootstrap interval that assumes no distribution.

    Points at which x or y is not finite are left out. With fewer than three left, or all x equal, everything but the
    number of points is NaN. A bootstrap sample draws n pairs (x, y) with replacement; samples with one x only, which
    have no line, are left out of the interval.

    Properties: R² and p do not change when x or y is scaled or shifted; the slope scales like y / x.

    Args:
        x: shape (n,).
        y: shape (n,).
        num_resamples: bootstrap samples.
        seed: of the resampling.

    Example:
        >>> fit = fit_line(np.arange(4.0), 1 + 2 * np.arange(4.0))
        >>> assert abs(fit.slope - 2) < 1e-12 and abs(fit.r_squared - 1) < 1e-12
    """
    is_known = np.isfinite(x) & np.isfinite(y)
    order = np.lexsort((y[is_known], x[is_known]))  # so that the order of the points does not matter to the bootstrap
    x, y = x[is_known][order], y[is_known][order]
    if len(x) < MIN_POINTS or np.ptp(x) == 0:
        nothing = (UNDEFINED, UNDEFINED)
        return LineFit(
            num_points=len(x),
            slope=UNDEFINED,
            intercept=UNDEFINED,
            r_squared=UNDEFINED,
            p_value=UNDEFINED,
            slope_interval=nothing,
            intercept_interval=nothing,
        )
    fit: Any = stats.linregress(x, y)  # scipy does not say what its results hold
    is_flat = np.ptp(y) == 0
    slopes, intercepts = _resampled_lines(x, y, num_resamples, seed)
    return LineFit(
        num_points=len(x),
        slope=float(fit.slope),
        intercept=float(fit.intercept),
        r_squared=UNDEFINED if is_flat else float(fit.rvalue) ** 2,
        p_value=UNDEFINED if is_flat else float(fit.pvalue),
        slope_interval=_interval(slopes),
        intercept_interval=_interval(intercepts),
    )


def _resampled_lines(x: np.ndarray, y: np.ndarray, num_resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.random.default_rng(seed).integers(len(x), size=(num_resamples, len(x)))
    drawn = drawn[np.ptp(x[drawn], axis=1) > 0]
    x_mean, y_mean = x[drawn].mean(axis=1), y[drawn].mean(axis=1)
    deviations = x[drawn] - x_mean[:, None]
    slopes = (deviations * (y[drawn] - y_mean[:, None])).sum(axis=1) / np.square(deviations).sum(axis=1)
    return slopes, y_mean - slopes * x_mean


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, INTERVAL) if values.size else (UNDEFINED, UNDEFINED)
    return float(low), float(high)


def _spec(name: str, description: str, bounds: tuple[float | None, float | None] = (None, None)) -> VariableSpec:
    return VariableSpec(name=name, description=description, bounds=bounds, reference="grokprobe")


FIT_SPECS: Final = (
    _spec("num_runs", "number of runs of the regime at which both numbers are finite", bounds=(0, None)),
    _spec("slope", "slope of the least-squares line of y against x; NaN with fewer than 3 runs or a single x"),
    _spec("intercept", "value of the line at x = 0"),
    _spec("r_squared", "share of the variance of y that the line explains; NaN if all y are equal", bounds=(0, 1)),
    _spec("p_value", "two-sided p-value of a slope of zero, Student's t, n − 2 degrees of freedom", bounds=(0, 1)),
    _spec("slope_low", "lower end of the 95 % percentile interval of the slope over bootstrap samples of runs"),
    _spec("slope_high", "upper end of the 95 % percentile interval of the slope over bootstrap samples of runs"),
    _spec("intercept_low", "lower end of the same interval of the intercept"),
    _spec("intercept_high", "upper end of the same interval of the intercept"),
)


def fit_by_regime(
    x: xr.DataArray, y: xr.DataArray, groks: xr.DataArray, *, num_resamples: int = 2000, seed: int = 0
) -> xr.Dataset:
    """Fits a line of ``y`` against ``x`` over the runs of each regime: :func:`fit_line`, once steady, once grokking.

    The published relation is ``y`` the final compressibility and ``x`` the final training loss: linear in the steady
    regime of modular addition, none in the grokking regime.

    Runs count as independent. Those of one seed share their split and the direction of their initialisation across
    scales, so p-values and intervals over many scales of few seeds are too confident.

    Args:
        x: one number a run, over ``(seed, init_scale)``.
        y: another, over the same dimensions; runs are matched by their coordinates.
        groks: 1 for the grokking regime, 0 for steady learning, NaN for neither, as in ``summary``.
        num_resamples: bootstrap samples of runs.
        seed: of the resampling.

    Returns:
        The variables of :data:`FIT_SPECS` over ``regime``.

    Raises:
        UsageError: the three have different dimensions.

    Reference:
        arXiv 2502.01739, Fig. 5.

    Example:
        >>> runs = {"seed": [0, 1, 2, 3], "init_scale": [1.0]}
        >>> loss = xr.DataArray([[0.1], [0.2], [0.3], [0.4]], coords=runs)
        >>> found = fit_by_regime(loss, 5 - 2 * loss, 0 * loss)
        >>> assert abs(found.slope.sel(regime="steady") + 2) < 1e-12 and found.slope.sel(regime="grokking").isnull()
    """
    if not set(x.dims) == set(y.dims) == set(groks.dims):
        raise UsageError(
            f"expected one number a run over the same dimensions, found {x.dims}, {y.dims} and {groks.dims}"
        )
    x, y, groks = xr.align(x, y, groks, join="inner")
    y, groks = y.transpose(*x.dims), groks.transpose(*x.dims)
    rows = []
    for label in range(len(REGIMES)):
        is_here = groks.to_numpy() == label
        fit = fit_line(x.to_numpy()[is_here], y.to_numpy()[is_here], num_resamples=num_resamples, seed=seed)
        lines = (fit.slope, fit.intercept, fit.r_squared, fit.p_value)
        rows.append((fit.num_points, *lines, *fit.slope_interval, *fit.intercept_interval))
    coordinates = {names.REGIME: list(REGIMES)}
    variables = {
        spec.name: xr.DataArray([row[place] for row in rows], dims=names.REGIME, coords=coordinates)
        for place, spec in enumerate(FIT_SPECS)
    }
    return assemble_derived(variables, FIT_SPECS)
