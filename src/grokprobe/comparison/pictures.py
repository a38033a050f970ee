"""Figures of two sides, next to each other and with the same axes."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib import image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter

from grokprobe.atomic import write_atomically
from grokprobe.comparison.comparison import Comparison
from grokprobe.errors import StoreWriteError, reporting_write_errors
from grokprobe.plots import list_figures, render_figure
from grokprobe.plots.style import ImageFormat

#: Inches from which on a figure is too wide for another one beside it, and has that below it.
_WIDE: Final = 7.0
#: Units of SVG in a point.
_PER_POINT: Final = 4 / 3
_SIZE: Final = re.compile(rb'<svg [^>]*?width="([0-9.]+)pt" height="([0-9.]+)pt"', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPair:
    """A figure of both sides."""

    #: As ``grokprobe plot`` calls it.
    name: str
    #: The file; None where it could not be drawn.
    path: Path | None
    #: Why it could not be drawn.
    fault: str = ""


def draw_pairs(comparison: Comparison, directory: Path, image_format: ImageFormat) -> Iterator[DrawnPair]:
    """Draws every figure of a family that both sides have, the first side on the left, into files.

    Args:
        comparison: of two experiments.
        directory: of the files.
        image_format: ``svg`` or ``png``.

    Raises:
        StoreWriteError: a file cannot be written.
    """
    catalogues = [list_figures(results).figures for results in (comparison.results_a, comparison.results_b)]
    for name in catalogues[0]:
        if "/" in name or name not in catalogues[1]:
            continue
        path = directory / f"{name}.{image_format}"
        try:
            figures = [catalogue[name].draw() for catalogue in catalogues]
            content = join_figures(figures[0], figures[1], (f"A: {comparison.a}", f"B: {comparison.b}"), image_format)
            with reporting_write_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, content)
        except StoreWriteError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a stored variable does to a drawing function
            yield DrawnPair(name=name, path=None, fault=f"{type(error).__name__}: {error}")
        else:
            yield DrawnPair(name=name, path=path)


def join_figures(a: Figure, b: Figure, titles: tuple[str, str], image_format: ImageFormat) -> bytes:
    """Returns two figures side by side as a file's content, panels of one kind with the same axes.

    Figures of several panels are one above the other.

    Args:
        a: the left or upper one; its axes are changed.
        b: the other one; likewise.
        titles: of both.
        image_format: ``svg`` or ``png``.
    """
    share_axes(a, b)
    for figure, title in zip((a, b), titles, strict=True):
        left_out = f" ({figure.get_suptitle()})" if figure.get_suptitle() else ""
        figure.suptitle(title + left_out, fontsize=9, x=0.01, ha="left")
    contents = [render_figure(figure, image_format) for figure in (a, b)]
    is_stacked = max(float(figure.get_figwidth()) for figure in (a, b)) > _WIDE
    join = _join_svg if image_format == "svg" else _join_png
    return join(contents, is_stacked=is_stacked)


def share_axes(a: Figure, b: Figure) -> None:
    """Gives panels of equal labels and title the same limits, so that both show the same at the same place.

    Axes whose labels are words, and heat maps, keep theirs.
    """
    others = {_kind(ax): ax for ax in b.axes}
    for ax in a.axes:
        other = others.get(_kind(ax))
        if other is None or ax.images or other.images:
            continue
        if not any(isinstance(panel.xaxis.get_major_formatter(), FixedFormatter) for panel in (ax, other)):
            low, high = zip(ax.get_xlim(), other.get_xlim(), strict=True)
            for panel in (ax, other):
                panel.set_xlim(min(low), max(high))
        low, high = zip(ax.get_ylim(), other.get_ylim(), strict=True)
        for panel in (ax, other):
            panel.set_ylim(min(low), max(high))


def _kind(ax: Axes) -> tuple[str, ...]:
    x_label = ax.get_xlabel().partition("\n")[0]  # below it may be numbers of its own
    return ax.get_title(loc="left"), x_label, ax.get_ylabel(), ax.get_xscale(), ax.get_yscale()


def _join_svg(contents: list[bytes], *, is_stacked: bool) -> bytes:
    parts, end, across = [], 0.0, 0.0
    for content in contents:
        start = content.index(b"<svg ")
        size = _SIZE.match(content, start)
        if size is None:
            raise ValueError("expected a width and a height in points, as matplotlib writes them")
        width, height = (float(points) * _PER_POINT for points in size.groups())
        place = f'y="{end:g}"' if is_stacked else f'x="{end:g}"'
        parts.append(content[start:].replace(b"<svg ", f"<svg {place} ".encode(), 1))
        end, across = (end + height, max(across, width)) if is_stacked else (end + width, max(across, height))
    width, height = (across, end) if is_stacked else (end, across)
    frame = f'width="{width:g}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {frame} viewBox="0 0 {width:g} {height:g}">'
    return b"\n".join([head.encode(), f'<rect {frame} fill="#ffffff"/>'.encode(), *parts, b"</svg>\n"])


def _join_png(contents: list[bytes], *, is_stacked: bool) -> bytes:
    pictures = [image.imread(io.BytesIO(content), format="png") for content in contents]
    across = 1 if is_stacked else 0
    size = max(picture.shape[across] for picture in pictures)
    padded = []
    for picture in pictures:
        missing = [(0, 0), (0, 0), (0, 0)]
        missing[across] = 0, size - picture.shape[across]
        padded.append(np.pad(picture, missing, constant_values=1.0))
    buffer = io.BytesIO()
    joined = np.concatenate(padded, axis=1 - across)
    image.imsave(buffer, joined, format="png", metadata={"Software": "grokprobe"})
    return buffer.getvalue()
