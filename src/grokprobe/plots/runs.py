"""One number of each run against another."""

from typing import Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokprobe import names
from grokprobe.derive.correlation_panel import correlate_runs
from grokprobe.plots.colors import color_scales
from grokprobe.plots.labels import axis_label, say_nothing_defined, scale_label
from grokprobe.plots.style import create_axes

#: Over less than this factor the labels of a logarithmic axis are in each other's way, and a linear one hides nothing.
_DECADE_SHARE: Final = 3.0


def plot_run_values(
    values: xr.Dataset, x: str, y: str, *, ax: Axes | None = None, log_x: bool = False, legend: bool = True
) -> Axes:
    """Draws one number of each run against another, one point a run, with Pearson's r.

    Args:
        values: one number a run and variable over ``(seed, init_scale)``, as of ``derive.run_values``.
        x: name of the variable along the axis.
        y: name of the other.
        ax: where to draw; by default a new figure in the packaged style.
        log_x: whether the axis is logarithmic if it spans more than a factor of 3; r is of the values themselves.
        legend: whether to add a legend right of the panel.

    Returns:
        The panel. Its title has r, its two-sided p-value (independent normal numbers, not corrected for the number of
        panels) and the number of runs with both.

    Reference:
        arXiv 2502.01739, Fig. 5 and 15-17.
    """
    ax = create_axes() if ax is None else ax
    over, of = (values[name].transpose(names.SEED, names.INIT_SCALE) for name in (x, y))
    panel = correlate_runs(of, xr.Dataset({x: over})).isel({names.VARIABLE: 0})
    colors = color_scales(over[names.INIT_SCALE].to_numpy().tolist())
    is_known = np.isfinite(over.to_numpy()) & np.isfinite(of.to_numpy())
    for place, (scale, color) in enumerate(colors.items()):
        known = is_known[:, place]
        column = over.sel({names.INIT_SCALE: scale}).to_numpy(), of.sel({names.INIT_SCALE: scale}).to_numpy()
        label = f"{scale_label(scale)} (n = {int(known.sum())})"
        ax.plot(column[0][known], column[1][known], linestyle="", marker="o", markersize=4, color=color, label=label)
    if not is_known.any():
        say_nothing_defined(ax)
    shown = over.to_numpy()[is_known]
    if log_x and shown.size and shown.min() > 0 and shown.max() > _DECADE_SHARE * shown.min():
        ax.set_xscale("log")
    ax.set_xlabel(_name(over))
    ax.set_ylabel(_name(of))
    ax.set_title(_describe(panel), fontsize=8)
    if legend:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), title="init_scale (seeds)", alignment="left")
    return ax


def _describe(panel: xr.Dataset) -> str:
    num_runs, r = int(panel["num_runs"]), float(panel["pearson"])
    if not np.isfinite(r):
        return f"r undefined, {num_runs} runs"
    return f"r = {r:.2f}, p = {float(panel['pearson_p']):.2g}, {num_runs} runs"


def _name(values: xr.DataArray) -> str:
    """Returns the name of a run's number: its own, and below it where it comes from."""
    place, _, name = str(values.name).rpartition("/")
    layer = name.partition("[")[2].rstrip("]")
    label = axis_label(values) + (f", {layer}" if layer else "")
    group = place.partition("/")[2]
    return f"{label}\n{group}" if group else label
