"""Results as if the runs had ended earlier."""

import numpy as np
import pytest
import xarray as xr

from grokprobe.derive.run_values import collect_run_values
from grokprobe.plots import ExperimentResults, list_figures, read_experiments
from grokprobe.plots.measured import at_epoch
from unit.made_results import Sweep, write_results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> ExperimentResults:
    sweep = Sweep(seeds=(0, 1), epochs=(0, 10, 20, 30), without=("geometry/fisher",))
    (results,) = read_experiments(write_results(tmp_path_factory.mktemp("until") / "r.zarr", sweep))
    return results


def test_every_run_ends_at_an_epoch(results: ExperimentResults) -> None:
    group = results.until(25).groups["probes/strange"]
    assert group.epoch.to_numpy().tolist() == [0, 10, 20]
    assert at_epoch(group, "height").at_epoch.to_numpy().tolist() == [[20, 20], [20, 20]]


def test_each_run_ends_at_its_own_and_there_are_no_others(results: ExperimentResults) -> None:
    until = results.until({(0, 1.0): 10, (1, 10.0): 20})
    height = at_epoch(until.groups["probes/strange"], "height")
    assert height.at_epoch.to_numpy().tolist() == [[10, -1], [-1, 20]]
    values = collect_run_values(xr.DataTree.from_dict({f"/{path}": group for path, group in until.groups.items()}))
    stored = results.groups["probes/strange"]["height"]
    expected = [
        [stored.sel(seed=0, init_scale=1.0, epoch=10), np.nan],
        [np.nan, stored.sel(seed=1, init_scale=10.0, epoch=20)],
    ]
    np.testing.assert_array_equal(values["probes/strange/height"], np.array(expected, dtype=float))
    assert int(values["summary/test_epoch"].notnull().sum()) <= 2
    assert until.groups["summary"].status.to_numpy().tolist() == [[1, 0], [0, 1]]


def test_runs_that_are_not_there_leave_nothing(results: ExperimentResults) -> None:
    until = results.until({(7, 1.0): 10})
    assert all(group.sizes["seed"] == 0 for group in until.groups.values())


def test_figures_of_few_runs_are_drawn(results: ExperimentResults) -> None:
    catalogue = list_figures(results.until({(0, 10.0): 0}))
    for name in ("training", "pruning.magnitude", "probes/strange/height", "ipr.fourier"):
        assert catalogue.figures[name].draw().axes
