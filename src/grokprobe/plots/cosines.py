"""Cosines along the path, exact beside the diagonal approximation."""

from typing import Final

import xarray as xr
from matplotlib.axes import Axes

from grokprobe import names
from grokprobe.plots.epochs import TIME_LABELS, TIME_STYLES, mark_times
from grokprobe.plots.labels import coordinate_label, value_label
from grokprobe.plots.measured import iterate_curves, select_values
from grokprobe.plots.seeds import add_scale_legend, draw_curves
from grokprobe.plots.style import create_axes

#: Cosine → what the diagonal approximation adds to it.
DIAGONAL_ERRORS: Final = {
    "step_cosine": "diagonal_error_cosine",
    "origin_cosine": "diagonal_error_origin_cosine",
}


def plot_cosines(
    dataset: xr.Dataset,
    variable: str = "step_cosine",
    *,
    ax: Axes | None = None,
    summary: xr.Dataset | None = None,
    legend: bool = True,
) -> Axes:
    """Draws a cosine of the path over the epochs, solid, and what its diagonal approximation makes of it, dashed.

    Args:
        dataset: a group ``geometry/…``; without the errors of the diagonal approximation there are no dashed lines.
        variable: ``step_cosine`` between consecutive steps or ``origin_cosine`` towards the origin.
        ax: where to draw; by default a new figure in the packaged style.
        summary: the group ``summary``, whose times are marked.
        legend: whether to add a legend right of the panel.

    Returns:
        The panel.

    Reference:
        arXiv 2502.01739, Fig. 8.
    """
    ax = create_axes() if ax is None else ax
    values, status = select_values(dataset, variable)
    curves = list(iterate_curves(values, status))
    marked = mark_times(ax, summary, (curve.init_scale for curve in curves))
    extra = []
    if DIAGONAL_ERRORS[variable] in dataset:
        diagonal = values + select_values(dataset, DIAGONAL_ERRORS[variable])[0]
        draw_curves(ax, list(iterate_curves(diagonal, status)), linestyle="--")
        extra = [("the metric itself", "-"), ("its diagonal", "--")]
    draw_curves(ax, curves)
    ax.axhline(0.0, color="#808080", linewidth=0.7)
    ax.set_xlabel(coordinate_label(dataset, names.EPOCH))
    ax.set_ylabel(value_label(dataset[variable]))
    if legend:
        extra += [(TIME_LABELS[name], TIME_STYLES[name]) for name in marked]
        add_scale_legend(ax, curves, extra=extra)
    return ax
