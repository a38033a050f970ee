"""The page, without a browser."""

import itertools
import re
import shutil
from pathlib import Path

import pytest

from grokprobe.dashboard.opened import OpenedStore, open_store
from grokprobe.dashboard.page import DashboardPage
from grokprobe.errors import UsageError
from grokprobe.plugins import Plugins
from grokprobe.status import Status
from unit.made_results import Sweep, write_results


@pytest.fixture
def page(store: OpenedStore) -> DashboardPage:
    return DashboardPage(store, lambda: store, {})


def move(page: DashboardPage, epoch: int) -> None:
    page.controls.slider.value = list(page.board.opened.epochs).index(epoch)
    page.refresh()


def sources(page: DashboardPage) -> list[dict]:
    return [source.data for drawing in page.board.moments for source in drawing.sources.values()]


def test_slider_moves_everything(page: DashboardPage) -> None:
    before, table, code = sources(page), page.numbers.object, page.code.text
    move(page, 60)
    for old, new in zip(before, sources(page), strict=True):
        assert list(old["y"]) != list(new["y"])
    assert [drawing.cursors["A"].location for drawing in page.board.curves.values()] == [60, 60]
    assert page.numbers.object != table
    assert '"epoch": 60' in page.code.text != code
    assert "epoch=60" in page.address.value


def test_axes_never_shrink(page: DashboardPage) -> None:
    ranges = []
    for epoch in (0, 60, 100, 195):
        move(page, epoch)
        ranges.append([drawing.axes[1].end for drawing in page.board.moments])
    assert all(
        after >= before for old, new in itertools.pairwise(ranges) for before, after in zip(old, new, strict=True)
    )


def test_one_run_alone_has_no_second(page: DashboardPage) -> None:
    page.controls.runs[1][1].value = 1.0
    page.refresh()
    assert all(not list(drawing.sources["B"].data["y"]) for drawing in page.board.moments)
    assert '"B"' not in page.code.text
    page.draw_figure()
    assert "<img" in page.figure.object


def test_playing_ends_at_the_last_epoch(page: DashboardPage) -> None:
    last = len(page.board.opened.epochs) - 1
    page.controls.slider.value = last - 1
    page.controls.play.value = True
    page.controls.advance()
    assert (page.controls.slider.value, page.controls.play.value) == (last, True)
    page.controls.advance()
    assert (page.controls.slider.value, page.controls.play.value) == (last, False)
    page.controls.play.value = True  # from the beginning
    assert page.controls.slider.value == 0
    page.controls.play.value = False


def test_matched_run_is_shown_at_its_own_epoch(page: DashboardPage) -> None:
    page.controls.is_matched.value = True
    move(page, 20)
    assert "A at epoch 20 has test loss 0.3463; B is nearest at epoch 75, with 0.3463" in page.match.object
    assert [curve.cursors["B"].location for curve in page.board.curves.values()] == [75, 75]
    assert "init_scale 10, seed 0, epoch 75" in page.numbers.object
    assert "(0, 1.0): 20, (0, 10.0): 75" in page.code.text


def test_reload_shows_what_was_published_since(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "r.zarr"
    write_results(path, Sweep(seeds=(0,), epochs=(0, 5)))
    page = DashboardPage(open_store(path, plugins), lambda: open_store(path, plugins), {"epoch": "5"})
    shutil.rmtree(path)
    write_results(path, Sweep(seeds=(0, 4), epochs=(0, 5, 10)))
    page.reload()
    assert page.board.opened.epochs == (0, 5, 10)
    assert list(page.controls.runs[0][0].options.values()) == [0, 4]
    assert page.controls.view().epoch == 5


def test_reload_of_a_store_that_has_gone_keeps_what_is_shown(store: OpenedStore) -> None:
    def reopen() -> OpenedStore:
        raise UsageError("nothing at <r.zarr>")

    page = DashboardPage(store, reopen, {})
    page.reload()
    assert "nothing at &lt;r.zarr&gt;" in page.notice.object
    move(page, 60)
    assert "epoch 60" in page.numbers.object


def test_failures_and_names_are_escaped(plugins: Plugins, tmp_path: Path) -> None:
    sweep = Sweep(seeds=(0,), epochs=(0, 5), status=lambda g, *_: Status.FAILED if g == "probes/strange" else Status.OK)
    store = open_store(write_results(tmp_path / "r.zarr", sweep), plugins)
    page = DashboardPage(store, lambda: store, {"figure": "<script>"})
    assert "4 failed" in page.problems.object
    assert "made &lt;fault&gt;" in page.problems.object
    assert "<fault>" not in page.problems.object
    assert "&lt;script&gt;" in page.notice.object
    assert not re.search(r"title=\"<b>", page.numbers.object)


@pytest.mark.parametrize(
    "sweep",
    [
        Sweep(seeds=(0,), scales=(1.0,), epochs=(0,)),
        Sweep(seeds=(0,), epochs=(0, 5), is_undefined=True),
        Sweep(seeds=(0,), epochs=(0, 5), status=lambda *_: Status.FAILED),
        Sweep(seeds=(0,), epochs=(0, 5), status=lambda *_: Status.MISSING),
        Sweep(seeds=(0,), epochs=(0, 5), without=("history",)),
    ],
)
def test_poor_stores_have_a_page(plugins: Plugins, tmp_path: Path, sweep: Sweep) -> None:
    store = open_store(write_results(tmp_path / "r.zarr", sweep), plugins)
    page = DashboardPage(store, lambda: store, {})
    page.refresh()
    page.draw_figure()
    assert page.figure.object
    assert page.problems.object
