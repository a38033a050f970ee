"""Linked panels, drawn by Bokeh."""

import html
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Div, LayoutDOM, Range1d, Span
from bokeh.plotting import figure

from grokprobe.dashboard.colors import Palette
from grokprobe.dashboard.moment import Shown
from grokprobe.report.panels import EpochPanel
from grokprobe.report.wording import say_number

#: Names of the runs, in the order in which they are drawn.
RUNS: Final = ("A", "B")
_TOOLS: Final = "pan,box_zoom,reset,save"
#: Room beyond the values, as a share of their range.
_MARGIN: Final = 0.04
_HEIGHT: Final = 230


class Drawing:
    """One panel: a title, axes that never shrink while the epoch moves, and a line of text below."""

    def __init__(
        self, title: str, labels: tuple[str, str], definition: str, sheet: str, *, log: tuple[bool, bool]
    ) -> None:
        """Draws the axes.

        Args:
            title: above the panel.
            labels: of both axes.
            definition: what is shown; behind a click.
            sheet: styles of the texts.
            log: whether the axes are logarithmic.
        """
        self._log = log
        scales: list[Any] = ["log" if is_log else "linear" for is_log in log]
        self.axes = (Range1d(start=0, end=1), Range1d(start=0, end=1))
        self._extents: list[tuple[float, float] | None] = [None, None]
        self._figure = figure(
            height=_HEIGHT,
            sizing_mode="stretch_width",
            tools=_TOOLS,
            active_drag=None,
            x_axis_type=scales[0],
            y_axis_type=scales[1],
            x_range=self.axes[0],
            y_range=self.axes[1],
            x_axis_label=labels[0],
            y_axis_label=labels[1],
            outline_line_color=None,
            min_border_right=12,
            styles={"clip-path": "inset(2px)"},  # Bokeh never repaints the outermost pixels
        )
        self._figure.toolbar.logo = None
        self._figure.toolbar.autohide = True
        self.sources = {name: ColumnDataSource({"x": [], "y": []}) for name in RUNS}
        self._note = Div(text="", css_classes=["note"], sizing_mode="stretch_width")
        heading = Div(text=f"<h3>{html.escape(title)}</h3>", css_classes=["panel-title"], sizing_mode="stretch_width")
        details = Div(
            text=f"<details><summary>Definition</summary>{html.escape(definition)}</details>",
            css_classes=["definition"],
            sizing_mode="stretch_width",
        )
        for text in (heading, self._note, details):
            text.stylesheets = [sheet]
        self.root: LayoutDOM = column(heading, self._figure, self._note, details, sizing_mode="stretch_width")
        self._colored: list[tuple[Any, str, str]] = []

    def recolor(self, palette: Palette) -> None:
        """Gives everything the colours of a page."""
        for axis in self._figure.axis:
            for part in ("axis_line", "major_tick_line", "minor_tick_line"):
                setattr(axis, f"{part}_color", palette.ink)
            axis.major_label_text_color = axis.axis_label_text_color = palette.ink
        self._figure.grid.grid_line_color = palette.grid
        self._figure.background_fill_color = self._figure.border_fill_color = palette.paper
        for model, attribute, name in self._colored:
            setattr(model, attribute, palette.a if name == "A" else palette.b)

    def say(self, text: str) -> None:
        """Writes the line below the panel."""
        self._note.text = html.escape(text)

    def _include(self, axis: int, values: Sequence[float] | np.ndarray) -> None:
        """Widens an axis until it has room for some values."""
        numbers = np.asarray(values, dtype=np.float64)
        known = numbers[np.isfinite(numbers) & ((numbers > 0) | (not self._log[axis]))]
        if not known.size:
            return
        old = self._extents[axis]
        low, high = (
            (float(known.min()), float(known.max()))
            if old is None
            else (min(old[0], float(known.min())), max(old[1], float(known.max())))
        )
        if (low, high) != old:
            self._extents[axis] = low, high
            first, last = (np.log10(low), np.log10(high)) if self._log[axis] else (low, high)
            room = _MARGIN * (last - first) or 0.5
            ends = first - room, last + room
            shown = self.axes[axis]
            shown.start, shown.end = (float(10**end) for end in ends) if self._log[axis] else map(float, ends)
            shown.reset_start, shown.reset_end = shown.start, shown.end


class CurveDrawing(Drawing):
    """Training and test values along both runs, with a line at the epoch of each."""

    def __init__(self, title: str, labels: tuple[str, str], definition: str, sheet: str) -> None:
        """Draws the axes; losses are logarithmic."""
        super().__init__(title, labels, definition, sheet, log=(False, title == "loss"))
        self._training = {name: ColumnDataSource({"x": [], "y": []}) for name in RUNS}
        self.cursors = {}
        for name in RUNS:
            dashed = self._figure.line("x", "y", source=self._training[name], line_dash="dashed", line_width=1.3)
            solid = self._figure.line("x", "y", source=self.sources[name], line_width=2)
            self.cursors[name] = Span(dimension="height", line_width=1.3, line_dash="dotted", visible=False)
            self._figure.add_layout(self.cursors[name])
            colored = (dashed.glyph, solid.glyph, self.cursors[name])
            self._colored += [(model, "line_color", name) for model in colored]
        self._curves: dict[str, tuple[np.ndarray, list[np.ndarray]]] = {}

    def set_curves(self, name: str, epochs: np.ndarray, curves: list[np.ndarray]) -> None:
        """Sets the curves of one run, over the training and over the test split."""
        self._curves[name] = epochs, curves
        for source, values in zip((self._training[name], self.sources[name]), curves, strict=True):
            y = np.where(values > 0, values, np.nan) if self._log[1] else values
            source.data = {"x": epochs, "y": y}
            self._include(0, epochs)
            self._include(1, y)

    def clear_curves(self, name: str) -> None:
        """Shows no curves of one run."""
        self.set_curves(name, np.empty(0), [np.empty(0), np.empty(0)])

    def update(self, epochs: Sequence[int | None]) -> None:
        """Moves the line of each run to its epoch; None hides it."""
        words = []
        for name, epoch in zip(RUNS, epochs, strict=True):
            self.cursors[name].visible = epoch is not None
            if epoch is None:
                continue
            self.cursors[name].location = epoch
            recorded, curves = self._curves[name]
            place = int(np.searchsorted(recorded, epoch, side="right")) - 1
            if place >= 0:
                train, test = (say_number(float(values[place]), 4) for values in curves)
                words.append(f"{name}: training {train}, test {test}")
        self.say("; ".join(words))


class MomentDrawing(Drawing):
    """Numbers of both runs at an epoch: lines, bars, or a dot a neuron."""

    def __init__(self, panel: EpochPanel, unit: str, sheet: str) -> None:
        """Draws the axes of a panel of the report.

        Args:
            panel: what is shown.
            unit: what the runs count.
            sheet: styles of the texts.
        """
        super().__init__(
            panel.title, (panel.x_label, panel.y_label), panel.definition, sheet, log=(panel.is_log, panel.is_log)
        )
        self._panel, self._unit = panel, unit
        for name in RUNS:
            self._draw_run(name)
        if panel.kind == "bars":
            self._include(1, [0.0])

    def _draw_run(self, name: str) -> None:
        source = self.sources[name]
        if self._panel.kind == "lines":
            glyphs = {"line_color": self._figure.line("x", "y", source=source, line_width=2)}
        elif self._panel.kind == "bars":
            drawn = self._figure.vbar(x="x", top="y", width=0.8, source=source, fill_alpha=0.45)
            glyphs = {"fill_color": drawn, "line_color": drawn}
        else:
            drawn = self._figure.scatter("x", "y", source=source, size=5, fill_alpha=0.45, line_alpha=0.8)
            glyphs = {"fill_color": drawn, "line_color": drawn}
        self._colored += [(renderer.glyph, attribute, name) for attribute, renderer in glyphs.items()]

    def update(self, shown: Sequence[Shown | None], asked: Sequence[int | None]) -> None:
        """Shows what each run is at its epoch; None for no run."""
        words = []
        for name, found, epoch in zip(RUNS, shown, asked, strict=True):
            x, y = self._points(found.values) if found is not None and found.values is not None else ([], [])
            self.sources[name].data = {"x": x, "y": y}
            self._include(0, x)
            self._include(1, y)
            if found is None:
                continue
            if found.reason:
                words.append(f"{name}: {found.reason}")
            elif not np.isfinite(np.asarray(y, dtype=np.float64)).any():
                words.append(f"{name}: no value is defined here")
            elif found.epoch != epoch:
                words.append(f"{name}: {self._unit} {found.epoch}")
        self.say(", ".join(words))

    def _points(self, values: np.ndarray) -> tuple[Any, Any]:
        """Returns where the points lie; infinities, which have no place, are left out like what is undefined."""
        values = np.where(np.isfinite(values), values, np.nan)
        if self._panel.kind == "scatter":
            return values[0], values[1]
        return np.asarray(self._panel.x), 10.0**values if self._panel.is_log else values
