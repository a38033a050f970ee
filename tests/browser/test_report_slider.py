"""The slider of the report moves every panel, and what they show are the numbers of the store."""

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

from browser.report_page import ReportPage, read_cell
from grokprobe.plots import ExperimentResults

EPOCHS = [0, 10, 20, 30, 40]
#: The runs that are chosen at first.
A, B = {"seed": 0, "init_scale": 1.0}, {"seed": 0, "init_scale": 10.0}
#: A pixel is less than this share of an axis of a panel.
PIXEL = 1 / 150


def test_keys_move_the_slider(page: ReportPage) -> None:
    assert page.now == "epoch 40"
    for key, epoch in [
        (Keys.HOME, 0),
        (Keys.ARROW_RIGHT, 10),
        (Keys.ARROW_UP, 20),
        (Keys.ARROW_LEFT, 10),
        (Keys.ARROW_DOWN, 0),
        (Keys.PAGE_UP, 10),
        (Keys.PAGE_DOWN, 0),
        (Keys.END, 40),
    ]:
        page.press(key)
        assert page.now == f"epoch {epoch}"
        assert page.browser.find("#epoch").get_attribute("aria-valuetext") == f"epoch {epoch}"


def test_the_mouse_moves_the_slider(page: ReportPage) -> None:
    page.drag(0.98, 0.5)
    assert page.now == "epoch 20"
    page.drag(0.02, 0.02)
    assert page.now == "epoch 0"
    page.drag(0.02, 0.75)
    assert page.now == "epoch 30"


def test_every_panel_moves_with_it(page: ReportPage) -> None:
    page.go_to(1)
    panels, table = page.panels(), page.table()
    assert {"accuracy", "loss", "accuracy, magnitude", "spectrum, fourier, input", "neurons, fourier, output"} <= set(
        panels
    )
    page.go_to(3)
    moved = page.panels()
    assert [title for title in panels if panels[title][0] == moved[title][0]] == []
    assert [label for label, cells in page.table().items() if cells == table[label]] == []


def test_playing_moves_it_too(page: ReportPage) -> None:
    button = page.browser.find("#play")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    page.browser.wait_for("return document.getElementById('now').textContent === 'epoch 40'")
    page.browser.wait_for("return document.getElementById('play').textContent === 'Play'")


@pytest.mark.parametrize("place", range(len(EPOCHS)))
def test_numbers_shown_are_those_of_the_store(page: ReportPage, made: ExperimentResults, place: int) -> None:
    page.go_to(place)
    table = page.table()
    assert len(table) == 4
    for label, cells in table.items():
        path, _, name = label.partition(" (")[0].rpartition("/")
        name, _, layer = name.rstrip("]").partition("[")
        of_epoch = made.groups[path][name].sel(epoch=EPOCHS[place], **({"layer": layer} if layer else {}))
        for cell, run in zip(cells, (A, B), strict=True):
            assert read_cell(cell) == pytest.approx(float(of_epoch.sel(run)), rel=5e-4)
    history = made.groups["history"].sel(epoch=EPOCHS[place])
    for title in ("accuracy", "loss"):
        words = page.panels()[title][1]
        for name, run in (("A", A), ("B", B)):
            shown = words.partition(f"{name}: training ")[2].partition(";")[0].split(", test ")
            stored = [float(history[f"{split}_{title}"].sel(run)) for split in ("train", "test")]
            assert [float(number) for number in shown] == pytest.approx(stored, rel=5e-4)


def test_lines_and_dots_are_those_of_the_store(page: ReportPage, made: ExperimentResults) -> None:
    page.go_to(2)
    compressor, fourier = (made.groups[path].sel(epoch=20) for path in ("compressors/magnitude", "probes/fourier"))
    for line, run in (("a", A), ("b", B)):
        points = page.points("accuracy, magnitude", f"line {line}")
        assert points[:, 0] == pytest.approx(compressor.amount.to_numpy(), abs=PIXEL)
        assert points[:, 1] == pytest.approx(compressor.accuracy.sel(run).to_numpy(), abs=PIXEL)
        dots = page.points("neurons, fourier, input", f"dots {line}")
        of_run = fourier.sel(run).isel(neuron=slice(6))
        extent = np.ptp(made.groups["probes/fourier"].dominant_frequency.to_numpy())
        assert dots[:, 0] == pytest.approx(of_run.dominant_frequency.to_numpy(), abs=PIXEL * extent)
        assert dots[:, 1] == pytest.approx(of_run.ipr.to_numpy(), abs=PIXEL)


def test_any_two_runs_stand_side_by_side(page: ReportPage, made: ExperimentResults) -> None:
    heights = made.groups["probes/strange"].height.sel(epoch=40)
    page.choose("a", "init_scale 10, seed 1")
    page.choose("b", "init_scale 1, seed 1")
    a, b = page.table()["probes/strange/height (m)"]
    assert read_cell(a) == pytest.approx(float(heights.sel(seed=1, init_scale=10.0)), rel=5e-4)
    assert read_cell(b) == pytest.approx(float(heights.sel(seed=1, init_scale=1.0)), rel=5e-4)
    page.choose("b", "init_scale 10, seed 1")
    assert page.table()["probes/strange/height (m)"] == [a, ""]
    assert all(" b" not in marks.split('"')[1::2] for marks, _ in page.panels().values())


def test_matched_at_equal_test_loss(page: ReportPage, made: ExperimentResults) -> None:
    page.go_to(2)
    page.browser.find("#matched").click()
    losses = made.groups["history"].test_loss
    target = float(losses.sel(A).sel(epoch=20))
    nearest = losses.sel(B)[abs(np.log(losses.sel(B)) - np.log(target)).argmin("epoch")]
    assert nearest.epoch != 20
    note = page.browser.find("#match-note").text
    assert f"epoch 20 has test loss {target:.4g}" in note
    assert f"at epoch {int(nearest.epoch)}, with {float(nearest):.4g}" in note
    heights = made.groups["probes/strange"].height
    shown = [read_cell(cell) for cell in page.table()["probes/strange/height (m)"]]
    assert shown == pytest.approx(
        [float(heights.sel(A).sel(epoch=20)), float(heights.sel(B).sel(epoch=nearest.epoch))], rel=5e-4
    )
    page.browser.find("#matched").click()
    assert not page.browser.find("#match-note").is_displayed()
