"""The last known value of what is measured along a run."""

import numpy as np
import xarray as xr

from grokprobe import names


def last_known(variable: xr.DataArray) -> xr.DataArray:
    """Returns the value at the last epoch that is not NaN, along the other dimensions; NaN where there is none."""
    return xr.apply_ufunc(
        _last_finite,
        variable.sortby(names.EPOCH),
        input_core_dims=[[names.EPOCH]],
        vectorize=True,
        output_dtypes=[float],
    )


def _last_finite(values: np.ndarray) -> float:
    finite = values[~np.isnan(values)]
    return float(finite[-1]) if finite.size else float("nan")
