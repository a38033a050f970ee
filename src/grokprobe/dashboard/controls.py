"""What a reader chooses with."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import panel as pn

from grokprobe.dashboard.opened import OpenedExperiment, OpenedStore
from grokprobe.dashboard.view import View
from grokprobe.plots.labels import scale_label
from grokprobe.report.regimes import describe_unit

#: Title of the figures that are of no single variable.
_FAMILIES: Final = "families"
#: Columns of choices, as many as there is room for.
_CHOICES: Final = (
    ":host { display: grid; align-items: end; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)) }"
)
#: The slider between its buttons; on a phone it has a row of its own.
_MOVING: Final = """
:host { display: grid; align-items: center; grid-template-columns: auto minmax(0, 1fr) auto auto }
@media (max-width: 600px) {
  :host { grid-template-columns: auto 1fr auto }
  .slider { grid-column: 1 / -1; order: 1 }
}
"""
_WIDE: Final = {"grid-column": "span 2"}


class Controls:
    """The controls, and the view that they stand for."""

    def __init__(self, on_change: Callable[[], None], on_reload: Callable[[], None], sheet: str) -> None:
        """Makes the controls, still empty.

        Args:
            on_change: is called when the reader has changed anything.
            on_reload: is called when the store is to be opened again.
            sheet: styles of every control.
        """
        self._on_change = on_change
        self._is_filling = False
        self._opened: OpenedExperiment | None = None
        self._sheet = sheet
        self.experiment = self._option(pn.widgets.Select, "Experiment", styles=_WIDE)
        self.runs = tuple(
            (self._option(pn.widgets.Select, f"{run}: seed"), self._option(pn.widgets.Select, f"{run}: init_scale"))
            for run in "AB"
        )
        self.figure = self._option(pn.widgets.Select, "Figure", styles=_WIDE)
        self.is_matched = self._option(pn.widgets.Checkbox, "B where its test loss equals A's", styles=_WIDE)
        self.shows_all = self._option(pn.widgets.Checkbox, "Every run in the figure", styles=_WIDE)
        #: Where the slider is, in words.
        self.now = pn.pane.HTML("", stylesheets=[sheet], min_width=90, align="center")
        self.slider = self._make_slider(0, 1)
        self._slider_place = pn.Column(self.slider, css_classes=["slider"], sizing_mode="stretch_width")
        self.play = pn.widgets.Toggle(label="Play", stylesheets=[sheet], width=70)
        self.reload = pn.widgets.Button(label="Reload", stylesheets=[sheet], width=80)
        self.reload.on_click(lambda _: on_reload())

    def rows(self) -> tuple[Any, Any, Any]:
        """Returns the choices of runs, the slider with its buttons, and the choices of the figure."""
        (seed_a, scale_a), (seed_b, scale_b) = self.runs
        runs = (self.experiment, seed_a, scale_a, seed_b, scale_b, self.is_matched)
        moving = (self.play, self._slider_place, self.now, self.reload)
        return _lay(_CHOICES, *runs), _lay(_MOVING, *moving), _lay(_CHOICES, self.figure, self.shows_all)

    def fill(self, store: OpenedStore, view: View) -> None:
        """Offers what a store has, and chooses a view."""
        opened = store.experiments[view.experiment]
        self._opened = opened
        self._is_filling = True
        try:
            self.experiment.param.update(options=list(store.experiments), value=view.experiment)
            self.experiment.visible = len(store.experiments) > 1
            for run, (seed, scale) in zip((view.a, view.b), self.runs, strict=True):
                seed.param.update(options=_labelled({run[0], *(s for s, _ in opened.runs)}, str), value=run[0])
                scale.param.update(options=_labelled({run[1], *(g for _, g in opened.runs)}, scale_label), value=run[1])
            self.figure.param.update(groups=_group(list(opened.figures.figures)), value=view.figure or None)
            self.is_matched.param.update(value=view.is_matched, disabled=opened.results.history is None)
            self.shows_all.value = view.shows_all
            last = len(opened.epochs) - 1
            place = opened.epochs.index(view.epoch) if opened.epochs else 0
            self.slider = self._make_slider(place, last)
            self._slider_place[:] = [self.slider]
            self.play.param.update(disabled=last < 1, value=False)
            self._name_epoch()
        finally:
            self._is_filling = False

    def view(self) -> View:
        """Returns what is chosen."""
        (seed_a, scale_a), (seed_b, scale_b) = self.runs
        epochs = self._epochs()
        return View(
            experiment=str(self.experiment.value),
            a=(seed_a.value, scale_a.value),
            b=(seed_b.value, scale_b.value),
            epoch=epochs[min(self.slider.value, len(epochs) - 1)] if epochs else -1,
            figure=self.figure.value or "",
            is_matched=self.is_matched.value,
            shows_all=self.shows_all.value,
        )

    def advance(self) -> None:
        """Moves the slider on by one checkpoint; at the end playing stops."""
        if self.slider.value >= len(self._epochs()) - 1:
            self.play.value = False
        else:
            self.slider.value += 1

    def rewind(self) -> None:
        """Moves the slider to the first checkpoint if it is at the last."""
        if self.slider.value >= len(self._epochs()) - 1:
            self.slider.value = 0

    def _epochs(self) -> Sequence[int]:
        return self._opened.epochs if self._opened else ()

    def _changed(self, *_: Any) -> None:
        if not self._is_filling:
            self._name_epoch()
            self._on_change()

    def _name_epoch(self) -> None:
        if self._opened is not None and self._opened.epochs:
            epoch = self._opened.epochs[min(self.slider.value, len(self._opened.epochs) - 1)]
            self.now.object = f"<output>{describe_unit(self._opened.results)} {epoch}</output>"

    def _make_slider(self, place: int, last: int) -> Any:
        """Returns a slider over the places of the epochs: a new one, as the keys of an old one keep to its old end."""
        slider = pn.widgets.IntSlider(
            label="",
            start=0,
            end=max(last, 1),
            value=place,
            disabled=last < 1,
            show_value=False,
            stylesheets=[self._sheet],
            sizing_mode="stretch_width",
        )
        slider.param.watch(self._changed, "value")
        return slider

    def _option(self, kind: Any, name: str, **looks: Any) -> Any:
        widget = kind(label=name, stylesheets=[self._sheet], sizing_mode="stretch_width", **looks)
        widget.param.watch(self._changed, "value")
        return widget


def _lay(sheet: str, *parts: Any) -> pn.Column:
    return pn.Column(*parts, stylesheets=[sheet], sizing_mode="stretch_width")


def _labelled(values: set[Any], label: Callable[[Any], str]) -> dict[str, Any]:
    return {label(value): value for value in sorted(values)}


def _group(figures: list[str]) -> dict[str, list[str]]:
    """Returns the figures by the group that they are of."""
    groups: dict[str, list[str]] = {}
    for figure in figures:
        groups.setdefault(figure.rpartition("/")[0] or _FAMILIES, []).append(figure)
    return groups or {_FAMILIES: []}
