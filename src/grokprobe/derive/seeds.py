"""Uncertainty over seeds."""

from typing import Final

import numpy as np
import xarray as xr

from grokprobe import names

UNDEFINED: Final = float("nan")
#: Labels of the dimension ``statistic``, in order.
STATISTICS: Final = (
    "median",
    "percentile_16",
    "percentile_84",
    "mean",
    "standard_error",
    "median_bootstrap_16",
    "median_bootstrap_84",
)


def compute_seed_statistics(dataset: xr.Dataset, *, num_resamples: int = 1000, seed: int = 0) -> xr.Dataset:
    """Returns centre, spread and uncertainty of every variable over its seeds.

    Seeds at which a variable is NaN are left out, and how many are not is said: where some seeds never grok, the
    statistics of their grokking time are those of the seeds that do.

    Args:
        dataset: numbers over ``seed`` and any other dimensions; variables without ``seed`` are left out. Each other
            place is one Python call: meant for numbers of runs, not of parameters.
        num_resamples: bootstrap samples, each as many seeds drawn with replacement as there are.
        seed: of the resampling; the same ranks are drawn for every place that has equally many seeds.

    Returns:
        For each variable ``x``: ``x`` over its other dimensions and ``statistic``, and ``x_num_seeds``, the number of
        seeds that count. The statistics are the ``median``; the 16th and 84th percentile, linear between order
        statistics, the spread of ±1 standard deviation of a normal distribution; the ``mean``; its ``standard_error``,
        the sample standard deviation (divisor n − 1) over √n; and the 16th and 84th percentile of the medians of
        bootstrap samples, the uncertainty of the median. All are NaN without a seed; uncertainties are NaN with one.

    Reference:
        B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.

    Example:
        >>> times = xr.Dataset({"test_epoch": ("seed", [3.0, 4.0, 8.0])}, coords={"seed": [0, 1, 2]})
        >>> found = compute_seed_statistics(times)
        >>> assert found.test_epoch.sel(statistic="median") == 4 and found.test_epoch_num_seeds == 3
    """
    found: dict[str, xr.DataArray] = {}
    for name, variable in dataset.data_vars.items():
        if names.SEED not in variable.dims or variable.dtype.kind not in "fiub":
            continue
        values = variable.astype(np.float64)
        statistics = xr.apply_ufunc(
            lambda over_seeds: _statistics_of(over_seeds, num_resamples, seed),
            values,
            input_core_dims=[[names.SEED]],
            output_core_dims=[[names.STATISTIC]],
            vectorize=True,
            output_dtypes=[np.float64],
        )
        found[str(name)] = statistics.assign_attrs(variable.attrs)
        found[f"{name}_num_seeds"] = (
            values.notnull()
            .sum(names.SEED)
            .assign_attrs(units="1", description=f"number of seeds at which {name} is known")
        )
    return xr.Dataset(found).assign_coords({names.STATISTIC: list(STATISTICS)})


def _statistics_of(values: np.ndarray, num_resamples: int, seed: int) -> np.ndarray:
    known = np.sort(values[~np.isnan(values)])  # so that the order of the seeds does not matter to the bootstrap
    num_known = len(known)
    if num_known == 0:
        return np.full(len(STATISTICS), UNDEFINED)
    centre = [*np.percentile(known, [50, 16, 84]), known.mean()]
    if num_known == 1:
        return np.array([*centre, UNDEFINED, UNDEFINED, UNDEFINED])
    drawn = np.random.default_rng(seed).integers(num_known, size=(num_resamples, num_known))
    interval = np.percentile(np.median(known[drawn], axis=1), [16, 84])
    return np.array([*centre, known.std(ddof=1) / np.sqrt(num_known), *interval])
