"""Limits of axes from the bounds of variables."""

from typing import Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

#: Room beyond a bound, as a share of the range, so that a line on it is not cut.
_MARGIN: Final = 0.03


def set_log_values(ax: Axes) -> None:
    """Makes the axis of values logarithmic if any drawn value is positive; else there is nothing to show on one."""
    if any((np.asarray(line.get_ydata(), dtype=np.float64) > 0).any() for line in ax.lines):
        ax.set_yscale("log", nonpositive="mask")


def keep_within_bounds(ax: Axes, variable: xr.DataArray) -> None:
    """Takes from the axis of values what lies beyond the bounds of a variable that has both.

    A variable that is 0 everywhere would else be drawn around 0, with negative numbers on its axis.

    Args:
        ax: the panel, after drawing.
        variable: whose attributes have ``valid_min`` and ``valid_max``.
    """
    if not {"valid_min", "valid_max"} <= set(variable.attrs) or ax.get_yscale() != "linear":
        return
    lowest, highest = float(variable.attrs["valid_min"]), float(variable.attrs["valid_max"])
    room = _MARGIN * (highest - lowest)
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, lowest - room), min(high, highest + room))
