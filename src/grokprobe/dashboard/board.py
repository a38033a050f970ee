"""The linked panels of one experiment."""

from collections.abc import Sequence
from typing import Any

import panel as pn

from grokprobe import names
from grokprobe.dashboard.colors import Palette
from grokprobe.dashboard.drawing import CurveDrawing, MomentDrawing
from grokprobe.dashboard.moment import CURVES, Moment, read_curves
from grokprobe.dashboard.opened import OpenedExperiment
from grokprobe.plots.labels import axis_label, coordinate_label
from grokprobe.report.evidence import Run
from grokprobe.report.regimes import describe_unit


class Board:
    """The panels, which all move together."""

    def __init__(self, opened: OpenedExperiment, palette: Palette, sheet: str) -> None:
        """Draws the axes of every panel.

        Args:
            opened: the experiment.
            palette: colours of the page.
            sheet: styles of the texts.
        """
        self.opened = opened
        self._runs: tuple[Run, Run] | None = None
        self.curves: dict[str, CurveDrawing] = {}
        history = opened.results.history
        if history is not None:
            for title, pair in CURVES.items():
                labels = coordinate_label(history, names.EPOCH), axis_label(history[pair[1]]).removeprefix("test ")
                stored = " ".join(str(history[name].attrs.get("description", "")) for name in pair)
                self.curves[title] = CurveDrawing(title, labels, f"Training dashed, test solid. {stored}", sheet)
        self.moments = tuple(MomentDrawing(panel, describe_unit(opened.results), sheet) for panel in opened.panels)
        self.recolor(palette)

    def parts(self) -> list[Any]:
        """Returns the panels for a page."""
        return [
            pn.pane.Bokeh(drawing.root, styles={"min-width": "0"}, sizing_mode="stretch_width")
            for drawing in (*self.curves.values(), *self.moments)
        ]

    def recolor(self, palette: Palette) -> None:
        """Gives all panels the colours of a page."""
        for drawing in (*self.curves.values(), *self.moments):
            drawing.recolor(palette)

    def update(self, runs: tuple[Run, Run], moments: Sequence[Moment | None]) -> None:
        """Shows two runs, each at its moment.

        Args:
            runs: equal ones for one run alone.
            moments: of both; None for no second run.
        """
        if runs != self._runs:
            self._runs = runs
            for title, drawing in self.curves.items():
                drawing.set_curves("A", *read_curves(self.opened, runs[0], CURVES[title]))
                if runs[0] == runs[1]:
                    drawing.clear_curves("B")
                else:
                    drawing.set_curves("B", *read_curves(self.opened, runs[1], CURVES[title]))
        epochs = [moment and moment.epoch for moment in moments]
        for drawing in self.curves.values():
            drawing.update(epochs)
        for place, drawing in enumerate(self.moments):
            drawing.update([moment and moment.panels[place] for moment in moments], epochs)
