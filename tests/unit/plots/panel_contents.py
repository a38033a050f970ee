"""What a panel shows, as its artists hold it."""

import numpy as np
from matplotlib.axes import Axes


def lines_of(ax: Axes, color: str | None = None, *, width: float | None = None) -> list[np.ndarray]:
    """Returns the (x, y) of every line with points, by colour and width; vertical marks are no such lines."""
    return [
        np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float)
        for line in ax.lines
        if len(line.get_xdata()) > 0
        and not (len(line.get_xdata()) == 2 and line.get_xdata()[0] == line.get_xdata()[1])
        and color in (None, line.get_color())
        and width in (None, line.get_linewidth())
    ]


def legend_of(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def texts_of(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]
