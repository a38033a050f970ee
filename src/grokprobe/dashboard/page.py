"""One page of one reader."""

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import panel as pn
from bokeh.models import CustomJS, PreText, TextInput

from grokprobe.dashboard.board import Board
from grokprobe.dashboard.colors import DARK, LIGHT
from grokprobe.dashboard.controls import Controls
from grokprobe.dashboard.moment import match_loss, read_moment
from grokprobe.dashboard.opened import OpenedExperiment, OpenedStore
from grokprobe.dashboard.snippet import write_snippet
from grokprobe.dashboard.texts import render_fault, render_match, render_numbers, render_problems
from grokprobe.dashboard.view import View, parse_view
from grokprobe.errors import GrokprobeError
from grokprobe.plots import list_figures
from grokprobe.report.pictures import draw_picture

_SOURCES: Final = Path(__file__).parent
#: Columns of panels, as many as there is room for.
_GRID: Final = {
    "display": "grid",
    "gap": "1rem 1.5rem",
    "grid-template-columns": "repeat(auto-fill, minmax(min(100%, 340px), 1fr))",
}
#: Milliseconds that further moves of the slider are awaited: before anything is read, before the figure is drawn.
_SETTLE_MS: Final = 30
_FIGURE_MS: Final = 250
#: Milliseconds between two checkpoints that are played; for those who ask their system for less motion.
_PLAY_MS: Final = 250
_CALM_PLAY_MS: Final = 1500


class DashboardPage:
    """The page, and what it shows at the moment."""

    def __init__(
        self, store: OpenedStore, reopen: Callable[[], OpenedStore], query: Mapping[str, str], *, fault: str = ""
    ) -> None:
        """Shows a store.

        Args:
            store: the store.
            reopen: opens the store again, as it is published by then.
            query: of the address, as of :func:`~grokprobe.dashboard.view.parse_view`.
            fault: what the reader should know about the store.
        """
        sheet = self._sheet = (_SOURCES / "parts.css").read_text(encoding="utf-8")
        self._store, self._reopen = store, reopen
        self._waiting: set[str] = set()
        self._palette = LIGHT
        self.controls = Controls(lambda: self._await("moment", _SETTLE_MS, self.refresh), self.reload, sheet)
        self.notice, self.match, self.numbers, self.figure, self.problems = (
            pn.pane.HTML("", sizing_mode="stretch_width", stylesheets=[sheet]) for _ in range(5)
        )
        self._panels = pn.Column(styles=_GRID, sizing_mode="stretch_width")
        self._player = pn.state.add_periodic_callback(self.controls.advance, period=_PLAY_MS, start=False)
        self.controls.play.param.watch(lambda event: self._play(is_on=event.new), "value")
        #: The code of what is shown.
        self.code = PreText(text="", sizing_mode="stretch_width", stylesheets=[sheet])
        self._copy = pn.widgets.Button(label="Copy Python", stylesheets=[sheet], width=120)
        self._copy.js_on_click(args={"code": self.code}, code="navigator.clipboard.writeText(code.text)")
        self.address, self._scheme = TextInput(visible=False), TextInput(visible=False)
        self.address.js_on_change("value", _script("history.replaceState({}, '', '?' + cb_obj.value)"))
        self._scheme.on_change("value", lambda _attribute, _old, new: self._recolor(new.split()))
        self._view, faults = parse_view(query, store)
        self._show(self._view, (fault, *faults) if fault else faults)

    def template(self) -> pn.Template:
        """Returns the page as Panel serves it."""
        template = pn.Template((_SOURCES / "dashboard.html.j2").read_text(encoding="utf-8"))
        template.add_variable("css", (_SOURCES / "dashboard.css").read_text(encoding="utf-8"))
        template.add_variable("store", self._store.path.name)
        runs, moving, figure = self.controls.rows()
        parts = {
            "choices": _stack(runs, moving, self.notice, self.match),
            "panels": _stack(self._panels),
            "numbers": self.numbers,
            "figure": _stack(figure, self.figure),
            "code": _stack(self._copy, pn.pane.Bokeh(self.code, sizing_mode="stretch_width")),
            "problems": self.problems,
            "hidden": pn.Row(pn.pane.Bokeh(self.address), pn.pane.Bokeh(self._scheme)),
        }
        for name, part in parts.items():
            template.add_panel(name, part)
        if pn.state.curdoc is not None:
            follow = (_SOURCES / "ready.js").read_text(encoding="utf-8")
            pn.state.curdoc.js_on_event("document_ready", _script(follow, scheme=self._scheme, address=self.address))
        return template

    def refresh(self) -> None:
        """Reads what the controls stand for, and shows it."""
        view = self.controls.view()
        if view.experiment == self._view.experiment:
            self._update(view)
        else:
            self._show(*parse_view({"experiment": view.experiment}, self._store))

    def draw_figure(self) -> None:
        """Draws the chosen figure as the runs were until their epochs."""
        view, epochs = self._view, self._epochs
        if not view.figure:
            self.figure.object = "<p>There is nothing to draw.</p>"
            return
        try:
            results = self._opened(view).results.until(view.epoch if view.shows_all else epochs)
            picture = draw_picture(list_figures(results, self._store.plugins).figures[view.figure])
        except Exception as error:  # noqa: BLE001 - whatever a stored variable does to a drawing function
            self.figure.object = render_fault(f"{view.figure}: {type(error).__name__}: {error}")
            return
        caption = html.escape(picture.caption)
        self.figure.object = (
            f'<figure><div class="picture"><img src="{picture.source}" alt="{caption}" width="{picture.width}"'
            f' height="{picture.height}"></div><figcaption>{caption}</figcaption></figure>'
        )

    def _show(self, view: View, faults: tuple[str, ...] = ()) -> None:
        """Builds what belongs to an experiment."""
        opened = self._opened(view)
        self.controls.fill(self._store, view)
        self.board = Board(opened, self._palette, self._sheet)
        self._panels[:] = self.board.parts()
        self.problems.object = render_problems(opened)
        self.notice.object = render_fault("; ".join(faults))
        self._update(view)

    def _update(self, view: View) -> None:
        opened = self._opened(view)
        match = match_loss(opened, view.a, view.b, view.epoch) if view.is_matched else None
        self._view, self._epochs = view, {view.a: view.epoch}
        moments = [read_moment(opened, view.a, view.epoch), None]
        if view.b != view.a:
            self._epochs[view.b] = match.epoch if match else view.epoch
            moments[1] = read_moment(opened, view.b, self._epochs[view.b])
        self.board.update((view.a, view.b), moments)
        self.match.object = render_match(view, match, opened)
        self.numbers.object = render_numbers(opened, moments)
        self.code.text = write_snippet(self._store, view, self._epochs)
        self.address.value = view.to_query()
        self._await("figure", _FIGURE_MS, self.draw_figure)

    def reload(self) -> None:
        """Opens the store again and shows the same of it."""
        try:
            self._store = self._reopen()
        except GrokprobeError as error:
            self.notice.object = render_fault(str(error))
            return
        self._show(*parse_view(dict(parse_qsl(self._view.to_query())), self._store))

    def _opened(self, view: View) -> OpenedExperiment:
        return self._store.experiments[view.experiment]

    def _await(self, name: str, milliseconds: int, call: Callable[[], None]) -> None:
        """Calls something once, after a while in which further requests for it change nothing."""
        document = pn.state.curdoc
        if document is None or name in self._waiting:
            return

        def run() -> None:
            self._waiting.discard(name)
            call()

        self._waiting.add(name)
        document.add_timeout_callback(run, milliseconds)

    def _play(self, *, is_on: bool) -> None:
        if is_on:
            self.controls.rewind()
            self._player.start()
        else:
            self._player.stop()

    def _recolor(self, words: list[str]) -> None:
        self._palette = DARK if "dark" in words else LIGHT
        self._player.period = _CALM_PLAY_MS if "calm" in words else _PLAY_MS
        self.board.recolor(self._palette)


def _stack(*parts: Any) -> pn.Column:
    return pn.Column(*parts, sizing_mode="stretch_width")


def _script(code: str, **arguments: Any) -> CustomJS:
    return CustomJS(args=arguments, code=code)
