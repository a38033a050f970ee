"""Two stores side by side."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

import grokprobe
from grokprobe.cli import main
from grokprobe.comparison import compare
from grokprobe.comparison.pictures import draw_pairs, join_figures, share_axes
from grokprobe.errors import UsageError
from grokprobe.status import Status
from unit.made_results import Sweep, write_results

SWEEP = Sweep(seeds=(0, 1), epochs=(0, 10, 20, 30, 40), without=("geometry/fisher",))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("comparison") / "a.zarr", SWEEP)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another seed, fewer epochs, and one measure less."""
    sweep = Sweep(seeds=(1, 2), epochs=(0, 10, 20), without=("geometry/fisher", "probes/strange"))
    return write_results(tmp_path_factory.mktemp("comparison") / "b.zarr", sweep)


def test_a_store_and_itself_do_not_differ(store: Path) -> None:
    compared = grokprobe.compare(str(store), str(store))
    (pair,) = compared.experiments
    assert compared.is_equal
    assert len(pair.numbers) > len(pair.headlines) > 5
    assert "<table" in compared._repr_html_()


def test_what_differs_is_said(store: Path, other: Path) -> None:
    compared = compare(str(store), str(other))
    (pair,) = compared.experiments
    assert not compared.is_equal
    epochs = {setting.name: (setting.a, setting.b) for setting in pair.settings}
    assert epochs["probes/fourier: epochs"] == ("5 from 0 to 40, every 10", "3 from 0 to 20, every 10")
    assert pair.only_a == ("probes/strange", "the run seed 0, init_scale 1", "the run seed 0, init_scale 10")
    assert pair.only_b == ("the run seed 2, init_scale 1", "the run seed 2, init_scale 10")


def test_numbers_are_those_of_the_store(store: Path) -> None:
    (pair,) = compare(f"{store}::init_scale=1", "::init_scale=10").experiments
    tree = grokprobe.open_results(store)["made"]
    (row,) = [row for row in pair.headlines if row.name == "probes/fourier/ipr_mean[input]"]
    values = tree["probes/fourier/ipr_mean"].sel(layer="input", epoch=40)
    low, high = (values.sel(init_scale=scale).to_numpy() for scale in (1.0, 10.0))
    assert (row.a, row.b) == (np.median(low), np.median(high))
    assert row.difference == np.median(high - low)
    (time,) = [row for row in pair.headlines if row.name == "summary/test_epoch"]
    assert time.b > time.a
    assert pair.settings == ()


def test_runs_of_equal_loss(store: Path) -> None:
    (pair,) = compare(f"{store}::init_scale=1::seed=0", "::init_scale=10", at_equal_loss=True).experiments
    tree = grokprobe.open_results(store)["made"]
    losses = tree["history/test_loss"].sel(seed=0)
    target = float(losses.sel(init_scale=10.0, epoch=40))
    apart = np.abs(np.log(losses.sel(init_scale=1.0)) - np.log(target))
    epoch = int(apart.epoch[int(apart.to_numpy().argmin())])
    assert epoch < 40
    (row,) = [row for row in pair.headlines if row.name == "compressors/magnitude/compressibility"]
    stored = tree["compressors/magnitude/compressibility"].sel(seed=0)
    assert row.a == stored.sel(init_scale=1.0, epoch=epoch)
    assert row.b == stored.sel(init_scale=10.0, epoch=40)
    assert pair.notes[0].startswith(f"A seed 0, init_scale 1 at epoch {epoch} has test loss")
    assert not [row.name for row in pair.numbers if row.name.startswith("summary")]


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ("{}::other", "{}", {}, "has no experiment 'other'; it has made"),
        ("{}::seed=9", "{}", {}, "no such run; its seeds are 0, 1, its values of init_scale 1, 10"),
        ("{}::seed=0", "{}::seed=1::init_scale=3", {}, "no such run"),
        ("{}/nothing", "{}", {}, "found nothing at"),
    ],
)
def test_what_is_not_there_is_said(store: Path, a: str, b: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        compare(a.format(store), b.format(store), **options)


@pytest.mark.parametrize(
    "sweep",
    [
        Sweep(seeds=(0,), scales=(1.0,), epochs=(0,)),
        Sweep(seeds=(0,), epochs=(0, 10), is_undefined=True),
        Sweep(seeds=(0,), epochs=(0, 10), status=lambda *_: Status.FAILED),
        Sweep(seeds=(5, 6), scales=(3.0, 4.0), epochs=(7,), without=("history",)),
    ],
)
def test_poor_stores_are_compared(store: Path, tmp_path: Path, sweep: Sweep) -> None:
    poor = str(write_results(tmp_path / "p.zarr", sweep))
    assert not compare(str(store), poor).is_equal
    assert compare(poor, poor).is_equal
    if sweep.is_undefined or "history" in sweep.without:
        with pytest.raises(UsageError, match="no pair of runs has a known test loss"):
            compare(str(store), poor, at_equal_loss=True)


def test_figures_of_a_poor_store_are_drawn(store: Path, tmp_path: Path) -> None:
    sweep = Sweep(seeds=(5,), scales=(3.0, 4.0), epochs=(7,), is_undefined=True, without=("history", "probes/fourier"))
    (pair,) = compare(str(store), str(write_results(tmp_path / "p.zarr", sweep))).experiments
    drawn = {figure.name: figure.fault for figure in draw_pairs(pair, tmp_path / "figures", "svg")}
    assert "pruning.magnitude" in drawn
    assert set(drawn.values()) == {""}


def test_command_prints_what_the_library_returns(store: Path, tmp_path: Path) -> None:
    small = Sweep(seeds=(0,), epochs=(0, 40), without=("geometry/fisher", "probes/fourier", "probes/energy"))
    other = str(write_results(tmp_path / "p.zarr", small))
    arguments = ["compare", str(store), other, "--json", "--out", str(tmp_path / "figures"), "-q"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    (pair,) = compare(str(store), other).experiments
    assert found["equal"] is False
    assert [row["name"] for row in found["experiments"][0]["numbers"]] == [row.name for row in pair.headlines]
    assert {Path(path).stem for path in found["figures"]} >= {"training", "pruning.magnitude"}
    assert all(Path(path).stat().st_size > 1000 for path in found["figures"])
    text = CliRunner().invoke(main, ["compare", str(store), str(store)]).stdout
    assert "Nothing differs." in text
    text = CliRunner().invoke(main, ["compare", str(store), other]).stdout
    assert "differs" not in text
    assert "only in A: probes/fourier" in text


def test_axes_are_shared() -> None:
    a, b = Figure(), Figure()
    for figure, factor in ((a, 1.0), (b, 3.0)):
        left, right = figure.subplots(1, 2)
        left.plot([0, 10 * factor], [1, 2 * factor])
        left.set_ylabel("loss")
        right.plot([0, 1], [0, factor])
        right.set_ylabel(f"only {factor}")
    share_axes(a, b)
    assert a.axes[0].get_xlim() == b.axes[0].get_xlim()
    assert a.axes[0].get_xlim()[1] >= 30
    assert a.axes[0].get_ylim() == b.axes[0].get_ylim()
    assert a.axes[1].get_ylim() != b.axes[1].get_ylim()


@pytest.mark.parametrize("image_format", ["svg", "png"])
def test_joined_figures_are_the_same_bytes_again(image_format) -> None:
    def join() -> bytes:
        figures = [Figure(figsize=(4, 3)) for _ in range(2)]
        for figure in figures:
            figure.subplots().plot([0, 1])
        return join_figures(*figures, ("A: <a>", "B"), image_format)

    assert join() == join()
