"""What one move of the slider reads."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import grokprobe
from grokprobe.dashboard.moment import match_loss, read_curves, read_moment
from grokprobe.dashboard.opened import OpenedStore, open_store
from grokprobe.plugins import Plugins
from grokprobe.status import Status
from unit.made_results import Sweep, write_results

RUN = (1, 10.0)


def test_numbers_are_those_of_the_store(store: OpenedStore, store_path: Path) -> None:
    opened = store.experiments["made"]
    moment = read_moment(opened, RUN, 60)
    tree = grokprobe.open_results(store_path)["made"]
    assert len(opened.headlines) == 4
    for headline, shown in zip(opened.headlines, moment.numbers, strict=True):
        stored = tree[headline.path][headline.name].sel(seed=1, init_scale=10.0, epoch=60, **headline.select)
        assert shown.values == stored
        assert shown.say(60) == f"{float(stored):.6g}"


def test_panels_are_those_of_the_store(store: OpenedStore, store_path: Path) -> None:
    opened = store.experiments["made"]
    moment = read_moment(opened, RUN, 60)
    group = (
        grokprobe.open_results(store_path)["made/probes/fourier"].to_dataset().sel(seed=1, init_scale=10.0, epoch=60)
    )
    by_title = {panel.title: shown.values for panel, shown in zip(opened.panels, moment.panels, strict=True)}
    is_input = (group.neuron_layer == "input").to_numpy()
    power = group.spectrum.to_numpy()[is_input].sum(axis=0)
    assert by_title["spectrum, fourier, input"] == pytest.approx(power / power.sum())
    scatter = np.stack([group.dominant_frequency.to_numpy()[is_input], group.ipr.to_numpy()[is_input]])
    np.testing.assert_array_equal(by_title["neurons, fourier, input"], scatter)


def test_slider_reads_the_cell_of_its_epoch_alone(store_path: Path, plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "r.zarr"
    shutil.copytree(store_path, path)
    opened = open_store(path, plugins).experiments["made"]
    whole = read_moment(opened, RUN, 190)
    kept = read_moment(opened, RUN, 60)  # the first block of 32 epochs ends at 155
    places = {f"{group}/{name}" for group, name in _variables(opened)}
    assert len(places) == 7
    damaged = 0
    for place in places:
        for chunk in (path / "made" / place / "c").rglob("*"):
            if chunk.is_file() and chunk.relative_to(path / "made" / place / "c").parts[:3] != ("1", "1", "0"):
                chunk.write_bytes(b"damaged")
                damaged += 1
    assert damaged == 7 * len(places)
    again = read_moment(opened, RUN, 60)
    for before, after in zip(kept.panels + kept.numbers, again.panels + again.numbers, strict=True):
        np.testing.assert_array_equal(before.values, after.values)
    elsewhere = read_moment(opened, RUN, 190)
    assert all(shown.values is not None for shown in whole.panels)
    assert all("cannot be read" in shown.reason for shown in elsewhere.panels)


def _variables(opened) -> list[tuple[str, str]]:
    panels = [(panel.group, name) for panel in opened.panels for name in panel.variables]
    return panels + [(headline.path, headline.name) for headline in opened.headlines]


def test_what_is_not_there_is_said(plugins: Plugins, tmp_path: Path) -> None:
    def status(group: str, seed: int, _scale: float, epoch: int) -> Status:
        if group != "probes/strange":
            return Status.OK
        return {5: Status.FAILED, 10: Status.MISSING}.get(epoch, Status.OK) if seed == 0 else Status.OK

    sweep = Sweep(seeds=(0,), epochs=(0, 5, 10), status=status, without=("probes/energy", "geometry/fisher"))
    opened = open_store(write_results(tmp_path / "r.zarr", sweep), plugins).experiments["made"]
    place = [headline.label for headline in opened.headlines].index("probes/strange/height")
    assert [read_moment(opened, (0, 1.0), e).numbers[place].say(e) for e in (5, 10)] == ["failed", "not measured"]
    assert read_moment(opened, (0, 1.0), 7).numbers[place].say(7) == "failed (at 5)"
    assert read_moment(opened, (0, 1.0), -1).numbers[place].say(-1) == "not measured"
    assert read_moment(opened, (3, 1.0), 0).numbers[place].say(0) == "not measured"
    assert [failure.count for failure in opened.failures] == [2]


def test_undefined_numbers_are_said_to_be_undefined(plugins: Plugins, tmp_path: Path) -> None:
    sweep = Sweep(seeds=(0,), epochs=(0, 5), is_undefined=True)
    opened = open_store(write_results(tmp_path / "r.zarr", sweep), plugins).experiments["made"]
    moment = read_moment(opened, (0, 1.0), 5)
    assert {shown.say(5) for shown in moment.numbers} == {"undefined"}
    assert match_loss(opened, (0, 1.0), (0, 10.0), 5) is None


def test_second_run_is_where_its_test_loss_is_equal(store: OpenedStore) -> None:
    opened = store.experiments["made"]  # its losses are 3 exp(-epoch/8) + 0.1, and with 30 instead of 8
    found = match_loss(opened, (0, 1.0), (0, 10.0), 20)
    assert found is not None
    assert (found.epoch, found.is_near) == (75, True)
    epochs, (losses,) = read_curves(opened, (0, 1.0), ["test_loss"])
    assert found.target == losses[epochs.tolist().index(20)]
    far = match_loss(opened, (0, 10.0), (0, 1.0), 0)
    assert far is not None
    assert far.epoch == 0
