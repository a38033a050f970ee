"""One number a run, by init_scale."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from grokprobe import names
from grokprobe.plots.colors import color_scales
from grokprobe.plots.labels import say_nothing_defined, scale_label, value_label
from grokprobe.plots.limits import keep_within_bounds
from grokprobe.plots.measured import at_epoch
from grokprobe.plots.seeds import BAND
from grokprobe.plots.style import create_axes


def plot_over_scales(
    dataset: xr.Dataset,
    variable: str,
    *,
    ax: Axes | None = None,
    select: Mapping[str, Any] | None = None,
    epoch: int | None = None,
) -> Axes:
    """Draws one number a run by init_scale: every seed a point, their median a line, a bar from 16 to 84 %.

    Scales are evenly spaced in ascending order, with the number of seeds that have a value.

    Args:
        dataset: a group of the results.
        variable: name of a variable over ``(seed, init_scale)``, with or without ``epoch``.
        ax: where to draw; by default a new figure in the packaged style.
        select: labels along its own dimensions.
        epoch: of every run; by default the last at which each was measured.

    Returns:
        The panel.

    Reference:
        arXiv 2502.01739, Fig. 9 and 10.
    """
    ax = create_axes() if ax is None else ax
    values = at_epoch(dataset, variable, select, epoch).transpose(names.INIT_SCALE, names.SEED)
    scales = values[names.INIT_SCALE].to_numpy().tolist()
    colors = color_scales(scales)
    labels = []
    for place, (scale, over_seeds) in enumerate(zip(scales, values.to_numpy(), strict=True)):
        known = over_seeds[np.isfinite(over_seeds)]
        labels.append(f"{scale_label(scale)}\nn = {len(known)}")
        _draw_seeds(ax, place, known, colors[scale])
    if not np.isfinite(values).any():
        say_nothing_defined(ax)
    ax.set_xticks(range(len(scales)), labels)
    ax.set_xlim(-0.6, len(scales) - 0.4)
    ax.set_xlabel("init_scale")
    ax.set_ylabel(value_label(dataset[variable]))
    keep_within_bounds(ax, dataset[variable])
    return ax


def _draw_seeds(ax: Axes, place: int, known: np.ndarray, color: str) -> None:
    if not known.size:
        return
    spread = 0.12 * np.linspace(-1, 1, len(known)) if len(known) > 1 else np.zeros(1)
    ax.plot(place + spread, known, linestyle="", marker="o", markersize=3.5, color=color, alpha=0.7)
    if len(known) > 1:
        low, median, high = np.percentile(known, [BAND[0], 50.0, BAND[1]])
        ax.plot([place, place], [low, high], color=color, linewidth=5, alpha=0.25, solid_capstyle="butt")
        ax.plot([place - 0.25, place + 0.25], [median, median], color=color)
