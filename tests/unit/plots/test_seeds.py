from typing import Any

import numpy as np
import pytest
import xarray as xr

from grokprobe.plots import plot_over_epochs
from grokprobe.plots.colors import color_scales
from grokprobe.status import Status
from unit.plots.panel_contents import legend_of, lines_of, texts_of

THIN, THICK = 0.5, 1.5


def dataset(values: Any, status: Any = None, scales: Any = (1.0,), **attrs: Any) -> xr.Dataset:
    values = np.asarray(values, dtype=float)
    coords = {"seed": np.arange(values.shape[0]), "init_scale": list(scales), "epoch": 10 * np.arange(values.shape[2])}
    found = xr.Dataset({"x": (list(coords), values, attrs)}, coords=coords)
    if status is not None:
        found["status"] = (list(coords), np.asarray(status, dtype=np.uint8))
    return found


def test_seeds_are_thin_and_their_median_is_thick() -> None:
    ax = plot_over_epochs(dataset([[[1, 2]], [[3, 4]], [[8, 9]]]), "x")
    assert [line[:, 1].tolist() for line in lines_of(ax, width=THIN)] == [[1, 2], [3, 4], [8, 9]]
    (median,) = lines_of(ax, width=THICK)
    assert median.tolist() == [[0, 3], [10, 4]]
    (band,) = ax.collections
    low, high = np.percentile([1, 3, 8], [16, 84])
    vertices = band.get_paths()[0].vertices
    assert vertices[:, 1].min() == pytest.approx(low)
    assert vertices[vertices[:, 0] == 0][:, 1].max() == pytest.approx(high)
    assert legend_of(ax) == ["1 (n = 3)"]


def test_one_seed_is_one_thick_line_without_a_band() -> None:
    ax = plot_over_epochs(dataset([[[1, 2]]]), "x")
    assert [line[:, 1].tolist() for line in lines_of(ax)] == [[1, 2]]
    assert not ax.collections
    assert legend_of(ax) == ["1 (n = 1)"]


def test_what_was_not_measured_is_no_point_and_what_is_undefined_is_a_gap() -> None:
    status = np.full((1, 1, 5), int(Status.OK))
    status[0, 0, 1], status[0, 0, 3] = int(Status.MISSING), int(Status.FAILED)
    (line,) = lines_of(plot_over_epochs(dataset([[[1, 99, 3, 99, np.nan]]], status), "x"))
    assert line[:, 0].tolist() == [0, 20, 30, 40]  # no point at the missing epoch, so the line runs on
    assert line[:2, 1].tolist() == [1, 3]
    assert np.isnan(line[2:, 1]).all()


def test_the_median_is_over_the_same_seeds_everywhere() -> None:
    status = np.full((2, 1, 3), int(Status.OK))
    status[1, 0, 1] = int(Status.MISSING)
    (median,) = lines_of(plot_over_epochs(dataset([[[1, 1, 1]], [[3, 3, 3]]], status), "x"), width=THICK)
    assert np.array_equal(median[:, 1], [2, np.nan, 2], equal_nan=True)


def test_an_undefined_seed_is_left_out_of_the_median() -> None:
    (median,) = lines_of(plot_over_epochs(dataset([[[1, 1]], [[np.nan, 3]]]), "x"), width=THICK)
    assert median[:, 1].tolist() == [1, 2]


def test_infinity_has_no_place() -> None:
    (line,) = lines_of(plot_over_epochs(dataset([[[1, np.inf]]]), "x"))
    assert line[0, 1] == 1
    assert np.isnan(line[1, 1])


def test_nothing_defined_is_said() -> None:
    assert texts_of(plot_over_epochs(dataset([[[np.nan, np.nan]]]), "x")) == ["no value is defined here"]
    assert texts_of(plot_over_epochs(dataset([[[np.nan, 1]]]), "x")) == []


def test_a_run_without_points_has_no_line() -> None:
    status = np.full((2, 2, 2), int(Status.OK))
    status[0, 1] = status[1, 1] = int(Status.MISSING)
    ax = plot_over_epochs(dataset(np.ones((2, 2, 2)), status, scales=(1.0, 10.0)), "x")
    assert legend_of(ax) == ["1 (n = 2)"]


def test_colors_are_ordered_and_differ() -> None:
    colors = color_scales([10.0, 0.1, 1.0, 0.1])
    assert list(colors) == [0.1, 1.0, 10.0]
    brightness = [sum(int(color[i : i + 2], 16) for i in (1, 3, 5)) for color in colors.values()]
    assert brightness == sorted(brightness)
    ax = plot_over_epochs(dataset(np.ones((1, 2, 2)), scales=(1.0, 10.0)), "x")
    assert [line.get_color() for line in ax.lines[:2]] == list(color_scales([1.0, 10.0]).values())


def test_names_and_units_come_from_attributes() -> None:
    made = dataset([[[1, 2]]], units="nat", long_name="test loss")
    made["epoch"].attrs["units"] = "steps"
    ax = plot_over_epochs(made, "x")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "test loss (nat)")


@pytest.mark.parametrize(("bounds", "expected"), [((0.0, 1.0), True), ((None, None), False)])
def test_axes_keep_within_bounds(bounds: Any, expected: bool) -> None:
    limits = {key: value for key, value in zip(("valid_min", "valid_max"), bounds, strict=True) if value is not None}
    ax = plot_over_epochs(dataset([[[0, 0]]], **limits), "x")
    assert bool(ax.get_ylim()[0] >= -0.031) is expected


def test_points_without_neighbours_are_marked() -> None:
    ax = plot_over_epochs(dataset([[[1]], [[2]]]), "x")
    assert [line.get_marker() for line in ax.lines if len(line.get_xdata())] == ["."] * 3
    long = plot_over_epochs(dataset([[[1] * 40]]), "x")
    assert long.lines[0].get_marker() in ("", "None")
