"""Seeds in a panel: each a thin line, their median, and the band from the 16th to the 84th percentile."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from grokprobe.plots.colors import NEUTRAL, color_scales
from grokprobe.plots.labels import say_nothing_defined, scale_label
from grokprobe.plots.measured import SeedCurves

#: Up to so many points along the axis each is marked, so that one without neighbours shows.
_MARKED: Final = 25
#: Percentiles of the band: those of ±1 standard deviation of a normal distribution.
BAND: Final = (16.0, 84.0)


def draw_curves(
    ax: Axes, curves: Sequence[SeedCurves], *, colors: dict[float, str] | None = None, linestyle: str = "-"
) -> None:
    """Draws the curves of every init_scale in its colour; a panel without a defined value says so.

    One seed is one line. Of several each is a thin line, and over the places where all of them have a point there are
    their median and the band of the 16th to the 84th percentile, linear between order statistics; seeds whose value is
    undefined there are left out. Places that only some seeds have would make the median jump, so it has a gap there.

    Args:
        ax: where to draw.
        curves: one for each init_scale.
        colors: init_scale → colour; by default ordered over the scales of ``curves``.
        linestyle: of the median, or of the one seed.
    """
    colors = colors or color_scales(curve.init_scale for curve in curves)
    if not any(curve.is_defined for curve in curves):
        say_nothing_defined(ax)
    for curve in curves:
        color = colors.get(curve.init_scale, NEUTRAL)
        marker = _choose_marker(curve, linestyle)
        is_single = len(curve.values) == 1
        for values, is_point in zip(curve.values, curve.is_point, strict=True):
            width, alpha = (None, 1.0) if is_single else (0.5, 0.45)
            line = _finite(values)[is_point]
            mark = marker if is_single or is_point.sum() == 1 else ""
            ax.plot(
                curve.x[is_point], line, color=color, linewidth=width, alpha=alpha, linestyle=linestyle, marker=mark
            )
        if not is_single:
            _draw_median(ax, curve, color, linestyle, marker)


def _choose_marker(curve: SeedCurves, linestyle: str) -> str:
    """Returns the marker of points: one without neighbours would not show, and many marked ones hide the line."""
    num_points = int(curve.is_point.sum(axis=1).max())
    if linestyle != "-":
        return "x" if num_points == 1 else ""
    return "." if num_points <= _MARKED else ""


def _draw_median(ax: Axes, curve: SeedCurves, color: str, linestyle: str, marker: str) -> None:
    is_shared = curve.is_point.all(axis=0)
    if not is_shared.any():
        return
    x, values = curve.x, np.where(is_shared, _finite(curve.values), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a place where no seed is defined: its median is NaN
        low, median, high = np.nanpercentile(values, [BAND[0], 50.0, BAND[1]], axis=0)
    ax.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    ax.plot(x, median, color=color, linestyle=linestyle, marker=marker)


def add_scale_legend(ax: Axes, curves: Iterable[SeedCurves], *, extra: Sequence[tuple[str, str]] = ()) -> None:
    """Adds the legend right of the panel: the colour of every init_scale, and how many seeds were measured.

    Args:
        ax: the panel.
        curves: what was drawn; of equal scales the one with most seeds counts.
        extra: further entries, each a label and a line style.
    """
    num_seeds: dict[float, int] = {}
    for curve in curves:
        num_seeds[curve.init_scale] = max(num_seeds.get(curve.init_scale, 0), curve.num_seeds)
    colors = color_scales(num_seeds)
    handles = [
        *(
            ax.plot([], [], color=colors[scale], label=f"{_name(scale)} (n = {num_seeds[scale]})")[0]
            for scale in sorted(num_seeds)
        ),
        *(ax.plot([], [], color=NEUTRAL, linestyle=style, label=label)[0] for label, style in extra),
    ]
    if handles:
        title = "init_scale (seeds)" if any(np.isfinite(scale) for scale in num_seeds) else None
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.02), title=title, alignment="left")


def _name(init_scale: float) -> str:
    return scale_label(init_scale) if np.isfinite(init_scale) else "all"


def _finite(values: np.ndarray) -> np.ndarray:
    """Returns the values with infinities, which have no place on an axis, as gaps."""
    return np.where(np.isfinite(values), values, np.nan)
