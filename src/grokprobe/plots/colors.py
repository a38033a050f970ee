"""Colours that mean something: init_scale as an order."""

from collections.abc import Iterable
from typing import Final

import matplotlib as mpl
from matplotlib.colors import to_hex

#: The map is viridis, which the colour-blind read in the same order, without its end that is too light on white.
_MAP: Final = "viridis"
_LIGHTEST: Final = 0.8
#: The colour of what belongs to no scale.
NEUTRAL: Final = "#4d4d4d"


def color_scales(scales: Iterable[float]) -> dict[float, str]:
    """Returns a colour for each init_scale, dark for small to light for large, evenly by rank.

    By rank and not by value: sweeps span decades, and the colours of neighbours have to differ.

    Example:
        >>> colors = color_scales([10.0, 0.1, 1.0])
        >>> assert list(colors) == [0.1, 1.0, 10.0] and len(set(colors.values())) == 3
    """
    ordered = sorted(set(scales))
    last = max(len(ordered) - 1, 1)
    colormap = mpl.colormaps[_MAP]
    return {scale: to_hex(colormap(_LIGHTEST * rank / last)) for rank, scale in enumerate(ordered)}
