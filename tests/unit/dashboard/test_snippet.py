"""The code that is copied gives what is shown."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grokprobe.dashboard.moment import read_moment
from grokprobe.dashboard.opened import OpenedStore
from grokprobe.dashboard.snippet import write_snippet
from grokprobe.dashboard.view import View, parse_view
from grokprobe.plots import list_figures, render_figure

VIEWS = [
    {},
    {"epoch": "37", "figure": "pruning.magnitude", "matched": "1"},
    {"epoch": "60", "figure": "probes/fourier/ipr", "other_init_scale": "1.0"},
    {"epoch": "60", "figure": "compressibility.magnitude", "all": "1"},
]


def execute(code: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(code, found)  # noqa: S102 - the code is what is tested
    return found


@pytest.mark.parametrize("query", VIEWS)
def test_code_gives_the_numbers_and_the_figure(store: OpenedStore, query: dict[str, str]) -> None:
    view, _ = parse_view(query, store)
    epochs = {view.a: view.epoch, view.b: view.epoch}
    found = execute(write_snippet(store, view, epochs))
    opened = store.experiments["made"]
    assert list(found["runs"]) == ["A", "B"][: len(epochs)]
    for name, run in zip(found["numbers"], epochs, strict=True):
        moment = read_moment(opened, run, epochs[run])
        for headline, shown in zip(opened.headlines, moment.numbers, strict=True):
            values = found["numbers"][name][f"made/{headline.path}/{headline.name}"]
            np.testing.assert_array_equal(values.sel(headline.select), shown.values)
    shown = opened.results.until(view.epoch if view.shows_all else epochs)
    assert render_figure(found["figure"]) == render_figure(list_figures(shown).figures[view.figure].draw())


def test_figure_shows_no_run_further_than_its_epoch(store: OpenedStore) -> None:
    view = View(experiment="made", a=(0, 1.0), b=(1, 10.0), epoch=20, figure="training")
    figure = execute(write_snippet(store, view, {view.a: 20, view.b: 60}))["figure"]
    ends = {float(np.max(line.get_xdata())) for line in figure.axes[0].lines if len(line.get_xdata()) > 2}
    assert ends == {20.0, 60.0}


def test_paths_and_names_are_quoted(store: OpenedStore) -> None:
    view, _ = parse_view({}, store)
    code = write_snippet(replace(store, path=Path("it's.zarr")), view, {view.a: 0})
    assert 'open_results("it\'s.zarr")' in code
