"""A measure along the runs."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokprobe import names
from grokprobe.plots.colors import color_scales
from grokprobe.plots.labels import coordinate_label, value_label
from grokprobe.plots.limits import keep_within_bounds
from grokprobe.plots.measured import iterate_curves, select_values
from grokprobe.plots.seeds import add_scale_legend, draw_curves
from grokprobe.plots.style import create_axes

#: Time of ``summary`` → the style of its vertical line.
TIME_STYLES: Final = {"train_epoch": ":", "test_epoch": "-."}
#: What the legend says of them.
TIME_LABELS: Final = {"train_epoch": "train_epoch (median)", "test_epoch": "test_epoch (median)"}

AxisScale = Literal["linear", "log", "symlog"]


def plot_over_epochs(
    dataset: xr.Dataset,
    variable: str,
    *,
    ax: Axes | None = None,
    select: Mapping[str, Any] | None = None,
    summary: xr.Dataset | None = None,
    epoch_scale: AxisScale = "linear",
    legend: bool = True,
) -> Axes:
    """Draws a variable over the epochs: every seed thin, their median and 16–84 % band, init_scale by colour.

    What was not measured is not drawn: a line runs on over an epoch that a run has no checkpoint of, and has a gap
    where a measure failed or its value is undefined.

    Args:
        dataset: a group of the results with ``variable`` over ``(seed, init_scale, epoch)`` and what ``select`` takes.
        variable: name of the variable.
        ax: where to draw; by default a new figure in the packaged style.
        select: labels along the variable's own dimensions, such as ``{"layer": "output"}``.
        summary: the group ``summary``; vertical lines mark the medians over seeds of its times.
        epoch_scale: of the axis of epochs; ``symlog`` is logarithmic from epoch 1 on.
        legend: whether to add a legend right of the panel.

    Returns:
        The panel.

    Example:
        >>> runs = {"seed": [0, 1], "init_scale": [1.0], "epoch": [0, 5, 10]}
        >>> norm = xr.DataArray([[[3.0, 2.0, 1.0]], [[3.0, 2.5, 2.0]]], coords=runs, attrs={"units": "weight"})
        >>> ax = plot_over_epochs(xr.Dataset({"norm": norm}), "norm")
        >>> assert ax.get_ylabel() == "norm (weight)" and "n = 2" in ax.get_legend().get_texts()[0].get_text()
    """
    ax = create_axes() if ax is None else ax
    curves = list(iterate_curves(*select_values(dataset, variable, select)))
    marked = mark_times(ax, summary, (curve.init_scale for curve in curves))
    draw_curves(ax, curves)
    ax.set_xlabel(coordinate_label(dataset, names.EPOCH))
    ax.set_ylabel(value_label(dataset[variable]))
    set_epoch_scale(ax, epoch_scale)
    keep_within_bounds(ax, dataset[variable])
    if legend:
        add_scale_legend(ax, curves, extra=[(TIME_LABELS[name], TIME_STYLES[name]) for name in marked])
    return ax


def set_epoch_scale(ax: Axes, scale: AxisScale) -> None:
    """Sets the scale of the axis of epochs; ``symlog`` keeps epoch 0 on a logarithmic axis."""
    if scale == "symlog":
        ax.set_xscale("symlog", linthresh=1)
    else:
        ax.set_xscale(scale)


def mark_times(ax: Axes, summary: xr.Dataset | None, scales: Iterable[float]) -> tuple[str, ...]:
    """Draws vertical lines at the median over seeds of ``train_epoch`` (dotted) and ``test_epoch`` (dash-dotted).

    Args:
        ax: where to draw.
        summary: the group ``summary``; None draws nothing.
        scales: the init_scales that the panel shows.

    Returns:
        Which times have at least one line.
    """
    if summary is None:
        return ()
    colors = color_scales(scales)
    marked = []
    for name, linestyle in TIME_STYLES.items():
        if name not in summary:
            continue
        times = select_values(summary, name)[0].transpose(names.INIT_SCALE, names.SEED)
        for scale, over_seeds in zip(times[names.INIT_SCALE].to_numpy().tolist(), times.to_numpy(), strict=True):
            known = over_seeds[np.isfinite(over_seeds)]
            if scale in colors and known.size:
                ax.axvline(float(np.median(known)), color=colors[scale], linestyle=linestyle, linewidth=0.9, alpha=0.75)
                marked.append(name)
    return tuple(dict.fromkeys(marked))
