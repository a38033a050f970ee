"""Training curves."""

from typing import Final, Literal

import xarray as xr
from matplotlib.axes import Axes

from grokprobe import names
from grokprobe.plots.epochs import TIME_LABELS, TIME_STYLES, AxisScale, mark_times, set_epoch_scale
from grokprobe.plots.labels import coordinate_label, with_units
from grokprobe.plots.limits import set_log_values
from grokprobe.plots.measured import iterate_curves, select_values
from grokprobe.plots.seeds import add_scale_legend, draw_curves
from grokprobe.plots.style import create_axes

#: Quantity → its variables over the training and over the test split.
QUANTITIES: Final = {
    "accuracy": (names.TRAIN_ACCURACY, names.TEST_ACCURACY),
    "loss": (names.TRAIN_LOSS, names.TEST_LOSS),
}
#: Style of the lines over each split.
_STYLES: Final = (("--", "training"), ("-", "test"))


def plot_training(
    history: xr.Dataset,
    *,
    quantity: Literal["accuracy", "loss"] = "accuracy",
    ax: Axes | None = None,
    summary: xr.Dataset | None = None,
    epoch_scale: AxisScale = "linear",
    legend: bool = True,
) -> Axes:
    """Draws accuracy or loss over the epochs: dashed over the training split, solid over the test split.

    Where a network groks, the solid line follows the dashed one after a long delay. Losses are on a logarithmic axis.

    Args:
        history: the group ``history``.
        quantity: which of the two.
        ax: where to draw; by default a new figure in the packaged style.
        summary: the group ``summary``, whose times are marked.
        epoch_scale: of the axis of epochs.
        legend: whether to add a legend right of the panel.

    Returns:
        The panel.

    Reference:
        arXiv 2502.01739, Fig. 2.
    """
    ax = create_axes() if ax is None else ax
    by_split = [list(iterate_curves(*select_values(history, variable))) for variable in QUANTITIES[quantity]]
    marked = mark_times(ax, summary, (curve.init_scale for curve in by_split[1]))
    for curves, (linestyle, _) in zip(by_split, _STYLES, strict=True):
        draw_curves(ax, curves, linestyle=linestyle)
    ax.set_xlabel(coordinate_label(history, names.EPOCH))
    ax.set_ylabel(with_units(quantity, history[QUANTITIES[quantity][1]].attrs))
    set_epoch_scale(ax, epoch_scale)
    if quantity == "loss":
        set_log_values(ax)
    else:
        ax.set_ylim(-0.03, 1.03)
    if legend:
        extra = [(label, style) for style, label in _STYLES]
        extra += [(TIME_LABELS[name], TIME_STYLES[name]) for name in marked]
        add_scale_legend(ax, by_split[1], extra=extra)
    return ax
