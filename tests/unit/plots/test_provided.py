"""Figures of plugins: where they are drawn, what they are given, and what becomes of a bad one."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from matplotlib.axes import Axes

from grokprobe import hookimpl
from grokprobe.cli import main
from grokprobe.plots import ExperimentResults, create_axes, list_figures, read_experiments
from grokprobe.plots.provided import gather_needs
from grokprobe.plugins import FIGURES, Plugin, Plugins, PluginSelection, Provided, load_plugins
from grokprobe.report import build_report
from grokprobe.status import Status
from unit.made_results import Sweep, write_results
from unit.report.page_contents import Page

Draw = Callable[[xr.Dataset, Axes], Any]


class MadeFigure:
    """A figure that draws what a function draws."""

    def __init__(self, name: str, needs: Any, draw: Draw = lambda dataset, ax: ax) -> None:
        self.name, self.caption, self.needs, self._draw = name, f"<i>{name}</i> of somebody.", needs, draw

    def draw(self, dataset: xr.Dataset, *, ax: Axes | None = None) -> Any:
        return self._draw(dataset, create_axes() if ax is None else ax)


def of_plugins(*figures: tuple[str, MadeFigure]) -> Plugins:
    provided = [
        Provided(kind=FIGURES, name=figure.name, plugin=Plugin(name=of, distribution=of, version="1"), item=figure)
        for of, figure in figures
    ]
    return Plugins(loaded=(), provided=tuple(provided))


def fail(dataset: xr.Dataset, ax: Axes) -> None:
    raise RuntimeError("made")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch):
    """Returns a function that installs a plugin with some figures, and returns the options that load it."""

    def install(name: str, *figures: MadeFigure) -> list[str]:
        def grokprobe_figures() -> tuple[MadeFigure, ...]:
            return figures

        module = ModuleType(name)
        vars(module)["grokprobe_figures"] = hookimpl(grokprobe_figures)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr("grokprobe.plugin_sources._is_importable", lambda _: True)
        load_plugins.cache_clear()
        return ["-p", name]

    yield install
    load_plugins.cache_clear()


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_figure_for_each_group_that_has_what_it_needs(made: ExperimentResults) -> None:
    figures = (
        MadeFigure("tall", ("height",)),
        MadeFigure("sharp", ("accuracy", "loss")),
        MadeFigure("x", ("ipr", "area")),
    )
    catalogue = list_figures(made, of_plugins(*(("mine", figure) for figure in figures)))
    assert {"tall.strange", "sharp.magnitude"} <= set(catalogue.figures)
    assert catalogue.figures["tall.strange"].caption == "<i>tall</i> of somebody."
    assert catalogue.not_applicable["x"] == "needs a group with ipr, area"
    assert set(catalogue.choose(["tall"]).figures) == {"tall.strange"}
    assert set(catalogue.choose(["mine:tall"]).figures) == {"tall.strange"}


def test_further_numbers_stand_at_the_places_of_the_group(tmp_path: Path) -> None:
    def status(group: str, seed: int, scale: float, epoch: int) -> Status:
        return Status.FAILED if (group, epoch) in {("history", 5), ("probes/strange", 0)} else Status.OK

    sweep = Sweep(seeds=(0, 1), epochs=(0, 5, 10), status=status)
    (results,) = read_experiments(write_results(tmp_path / "r.zarr", sweep))
    fewer = {**results.groups, "probes/strange": results.groups["probes/strange"].isel(epoch=[1, 2], seed=[1])}
    trimmed = ExperimentResults(name="made", attributes={}, groups=fewer)
    dataset = gather_needs(trimmed, "probes/strange", ["history/test_accuracy", "summary/final_test_accuracy"])
    accuracy = dataset["history/test_accuracy"]
    assert accuracy.sizes == {"seed": 1, "init_scale": 2, "epoch": 2}
    assert np.isnan(accuracy.sel(epoch=5)).all()  # failed there
    expected = results.groups["history"].test_accuracy.sel(seed=1, epoch=10)
    assert accuracy.sel(seed=1, epoch=10).values.tolist() == expected.values.tolist()
    assert dataset["summary/final_test_accuracy"].sizes == {"seed": 1, "init_scale": 2}
    assert dataset.height.identical(fewer["probes/strange"].height)
    counts = gather_needs(results, "history", ["probes/strange/count"])["probes/strange/count"]
    assert counts.isel(seed=0, init_scale=0).values.tolist() == pytest.approx([np.nan, 5, 10], nan_ok=True)


@pytest.mark.parametrize(
    ("figure", "reason"),
    [
        (MadeFigure("a", ("height", "history/nothing")), "needs history/nothing, over"),
        (MadeFigure("a", ("height", "compressors/magnitude/accuracy")), "needs compressors/magnitude/accuracy, over"),
        (MadeFigure("a", "height"), "expected a tuple"),
        (MadeFigure("a", ("history/test_accuracy",)), "expected a tuple"),
        (MadeFigure("a", (1,)), "TypeError"),
        (MadeFigure("a b", ("height",)), "its name is 'a b'"),
    ],
    ids=["no such place", "dimensions of its own", "a text", "no variable", "a number", "a bad name"],
)
def test_why_there_is_none(made: ExperimentResults, figure: MadeFigure, reason: str) -> None:
    catalogue = list_figures(made, of_plugins(("mine", figure)))
    assert reason in catalogue.not_applicable[figure.name]
    assert not any(name.startswith("a.") for name in catalogue.figures)


def test_two_plugins_with_one_name(made: ExperimentResults) -> None:
    figure = MadeFigure("same", ("height",))
    catalogue = list_figures(
        made, of_plugins(("one", figure), ("two", figure), ("one", MadeFigure("training", ("height",))))
    )
    assert {"one:same.strange", "two:same.strange", "one:training.strange", "training"} <= set(catalogue.figures)
    assert not catalogue.knows("same")
    assert catalogue.explain_unknown("same") == (
        "figure 'same' is provided by several plugins; say which one: one:same, two:same"
    )
    assert set(catalogue.choose(["two:same", "training"]).figures) == {"two:same.strange", "training"}


def test_groups_of_one_label_are_told_apart(made: ExperimentResults) -> None:
    groups = dict.fromkeys(("probes/a", "probes/b", "geometry/b"), made.groups["probes/strange"])
    results = ExperimentResults(name="made", attributes={}, groups=groups)
    catalogue = list_figures(results, of_plugins(("mine", MadeFigure("tall", ("height",)))))
    own = {name for name in catalogue.figures if name.startswith("tall")}
    assert own == {"tall.a", "tall.probes.b", "tall.geometry.b"}


def test_on_the_command_line(made_store: Path, tmp_path: Path, plugin: Any) -> None:
    good, bad = MadeFigure("tall", ("height",)), MadeFigure("broken", ("height",), fail)
    options = plugin("of_figures", good, bad, MadeFigure("nothing", ("height",), lambda dataset, ax: None))
    listed = run("plugins", *options).stdout.splitlines()
    assert [line.split() for line in listed if line.startswith("figure")][1] == [
        "figure", "nothing", "of_figures", "of_figures"
    ]  # fmt: skip
    listed = run("plot", made_store, "--list", *options).stdout
    assert "tall.strange" in listed
    assert "<i>tall</i> of somebody." in listed
    result = run("plot", made_store, "tall", "broken", "nothing", "--out", tmp_path, *options)
    assert result.exit_code == 3
    assert "failed: made broken.strange: RuntimeError: made" in result.stderr
    assert "draw returned NoneType, expected the panel it drew" in result.stderr
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["tall.strange.svg"]
    assert run("plot", made_store, "tall", "--out", tmp_path).exit_code == 2


def test_in_the_report(tmp_path: Path, plugin: Any) -> None:
    store = write_results(tmp_path / "r.zarr", Sweep(seeds=(0,), epochs=(0, 5)))
    drawn: list[list[str]] = []

    def draw(dataset: xr.Dataset, ax: Axes) -> Axes:
        drawn.append(list(map(str, dataset.data_vars)))
        return ax

    options = plugin("of_figures", MadeFigure("tall", ("height", "summary/test_epoch"), draw))
    assert run("report", store, "--out", tmp_path / "r.html", *options).exit_code == 0
    page = Page((tmp_path / "r.html").read_text())
    assert "tall.strange <i>tall</i> of somebody." in page.text
    assert "<b>Made</b> height." not in [attributes["alt"] for attributes in page.all("img")]
    assert len(drawn) == 1
    assert {"height", "summary/test_epoch"} <= set(drawn[0])
    plugin("of_figures", MadeFigure("tall", ("height",), fail))
    broken = Page(build_report(store, plugins=PluginSelection(requested=("of_figures",))))
    assert "tall.strange: could not be drawn: RuntimeError: made" in broken.text
    assert "<b>Made</b> height." in [attributes["alt"] for attributes in broken.all("img")]  # the default stands in
