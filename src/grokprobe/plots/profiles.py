"""A variable along a dimension of its own: pruning curves, spectra, layers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokprobe import names
from grokprobe.plots.labels import coordinate_label, value_label
from grokprobe.plots.limits import keep_within_bounds, set_log_values
from grokprobe.plots.measured import SeedCurves, at_epoch, iterate_curves
from grokprobe.plots.seeds import add_scale_legend, draw_curves
from grokprobe.plots.style import create_axes
from grokprobe.status import Status


def plot_profile(
    dataset: xr.Dataset,
    variable: str,
    dim: str,
    *,
    ax: Axes | None = None,
    select: Mapping[str, Any] | None = None,
    epoch: int | None = None,
    legend: bool = True,
) -> Axes:
    """Draws a variable along one of its own dimensions, at one epoch of every run.

    Accuracy over the amount of compression, a spectrum over its rank, a correlation over the layers. Labels that are
    words stand in stored order, which for layers is that of the network.

    Args:
        dataset: a group of the results.
        variable: name of the variable.
        dim: the dimension along the axis.
        ax: where to draw; by default a new figure in the packaged style.
        select: labels along its further dimensions.
        epoch: of every run; by default the last at which each was measured.
        legend: whether to add a legend right of the panel.

    Returns:
        The panel.
    """
    ax = create_axes() if ax is None else ax
    values = at_epoch(dataset, variable, select, epoch)
    labels = values[dim].to_numpy()
    is_numeric = labels.dtype.kind in "iufb"
    curves = list(_curves_along(values, dim, is_numeric))
    draw_curves(ax, curves)
    if not is_numeric:
        ax.set_xticks(range(len(labels)), [str(label) for label in labels], rotation=20, ha="right")
        ax.set_xlim(-0.3, len(labels) - 0.7)
    ax.set_xlabel(coordinate_label(values, dim))
    ax.set_ylabel(value_label(dataset[variable]))
    keep_within_bounds(ax, dataset[variable])
    if legend:
        add_scale_legend(ax, curves)
    return ax


def plot_spectrum(
    dataset: xr.Dataset,
    variable: str,
    *,
    ax: Axes | None = None,
    select: Mapping[str, Any] | None = None,
    epoch: int | None = None,
    legend: bool = True,
) -> Axes:
    """Draws a descending spectrum over its rank, both logarithmic: a straight line is a power law.

    Zeros have no place on a logarithmic axis and are not drawn.

    Args:
        dataset: a group of the results.
        variable: name of a variable with the dimension ``rank``.
        ax: where to draw; by default a new figure in the packaged style.
        select: labels along its further dimensions.
        epoch: of every run; by default the last at which each was measured.
        legend: whether to add a legend right of the panel.

    Returns:
        The panel.

    Reference:
        arXiv 2502.01739, Fig. 20.
    """
    ax = plot_profile(dataset, variable, names.RANK, ax=ax, select=select, epoch=epoch, legend=legend)
    ax.set_xscale("log")
    set_log_values(ax)
    return ax


def _curves_along(values: xr.DataArray, dim: str, is_numeric: bool) -> list[SeedCurves]:
    order = values.sortby(dim) if is_numeric else values.assign_coords({dim: np.arange(values.sizes[dim])})
    if "at_epoch" in values.coords:
        status = xr.where(values["at_epoch"] >= 0, int(Status.OK), int(Status.MISSING))
    else:
        leading = [d for d in names.SUMMARY_DIMS if d in values.dims]
        status = xr.full_like(values.isel({d: 0 for d in values.dims if d not in leading}), int(Status.OK))
    return list(iterate_curves(order, status.drop_vars("at_epoch", errors="ignore"), along=dim))
