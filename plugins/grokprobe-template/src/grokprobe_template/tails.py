"""The figure ``tails``: the kurtosis of every layer beside that of a normal distribution."""

from typing import Final

import xarray as xr
from matplotlib.axes import Axes

from grokprobe.plots import create_axes, plot_profile

#: Kurtosis of a normal distribution.
NORMAL: Final = 3.0


class TailsFigure:
    """Draws the kurtosis of the layers at the last epoch of each run, with a line at that of a normal distribution."""

    name = "tails"
    caption = "Kurtosis of each layer at the last epoch; the line is a normal distribution."
    needs: tuple[str, ...] = ("kurtosis",)

    def draw(self, dataset: xr.Dataset, *, ax: Axes | None = None) -> Axes:
        """Draws into ``ax``, or into a new figure in the packaged style."""
        ax = create_axes() if ax is None else ax
        ax.axhline(NORMAL, color="#888888", linewidth=0.8, linestyle="--")
        return plot_profile(dataset, "kurtosis", "layer", ax=ax)
