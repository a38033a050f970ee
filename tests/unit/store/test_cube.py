import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from grokprobe.errors import StoreError
from grokprobe.status import Status
from grokprobe.store import ResultsStore, open_results
from grokprobe.variables import Coordinate, VariableSpec
from unit.store.small_store import BLOCK, GROUP, PARTS, SPECS, build_row, create_cube, read, write_rows, write_store

RUN = (0, 1.0)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = {run: {epoch: build_row(10 * run[0] + epoch) for epoch in range(6)} for run in ((0, 1.0), (1, 0.5))}
    write_store(tmp_path / "r", rows)
    dataset = read(tmp_path / "r")
    assert dict(dataset.sizes) == {"seed": 2, "init_scale": 2, "epoch": 6, "part": 2}
    for (seed, scale), epochs in rows.items():
        run = dataset.sel(seed=seed, init_scale=scale)
        assert run.x.to_numpy().tolist() == [10 * seed + epoch for epoch in epochs]
        assert run.v.sel(part="right").to_numpy().tolist() == [-10 * seed - epoch for epoch in epochs]
        assert run.n.to_numpy().tolist() == [7] * 6
        assert run.checkpoint_digest.to_numpy().tolist() == [f"d{10 * seed + epoch}" for epoch in epochs]
        assert (run.status == Status.OK).all()
        other = dataset.sel(seed=1 - seed, init_scale=scale)
        assert (other.status == Status.MISSING).all()
        assert np.isnan(other.x).all()


def test_missing_failed_and_undefined_are_told_apart(tmp_path: Path) -> None:
    rows = {0: build_row(np.nan), 1: build_row(0, Status.FAILED), 3: build_row(0, Status.REFUSED), 9: build_row(1.0)}
    write_store(tmp_path / "r", {RUN: rows, (1, 1.0): {9: build_row(1.0)}})
    dataset = read(tmp_path / "r").sel(seed=0, init_scale=1.0)
    assert dataset.status.to_numpy().tolist() == [1, 2, 4, 1]
    assert np.isnan(dataset.x.to_numpy()).tolist() == [True, True, True, False]
    assert (read(tmp_path / "r").status.sel(seed=1, init_scale=1.0).to_numpy() == [0, 0, 0, 1]).all()


def test_attributes_follow_the_conventions(tmp_path: Path) -> None:
    write_store(tmp_path / "r", {RUN: {0: build_row(1.0)}})
    dataset = read(tmp_path / "r")
    assert dataset.status.attrs["flag_meanings"].split() == [status.name.lower() for status in Status]
    assert dataset.status.attrs["flag_values"] == [int(status) for status in Status]
    assert dataset.v.attrs["headline"] == 1
    assert dataset.v.attrs["description"] == "Two."
    assert dataset.epoch.attrs["units"] == "epochs"
    assert set(dataset.v.coords) == {"seed", "init_scale", "epoch", "part", "part_size"}
    assert dataset.part_size.to_numpy().tolist() == [3, 5]
    assert dataset.attrs == {"measure": "p"}
    assert [dataset[name].dtype for name in ("x", "n", "v")] == [np.float64, np.int64, np.float32]


def test_positions_never_move(tmp_path: Path) -> None:
    with ResultsStore.open(tmp_path / "r") as store:
        cube = create_cube(store)
        cube.grow({"seed": [3], "init_scale": [1.0], "epoch": [10, 20]})
        cube.create_variables(SPECS, PARTS)
        write_rows(cube, (3, 1.0), {10: build_row(10), 20: build_row(20)})
        cube.grow({"seed": [0], "init_scale": [0.1, 1.0], "epoch": [5, 10, 15]})
        assert cube.positions("epoch") == {10: 0, 20: 1, 5: 2, 15: 3}
        assert cube.positions("seed") == {3: 0, 0: 1}
        assert cube.positions("init_scale") == {1.0: 0, 0.1: 1}
        fresh = store.cube(GROUP, block=BLOCK)
        assert fresh.positions("epoch") == cube.positions("epoch")
        store.publish()
    stored = xr.open_datatree(tmp_path / "r", engine="zarr")[GROUP]
    assert stored.epoch.to_numpy().tolist() == [10, 20, 5, 15]
    dataset = read(tmp_path / "r")
    assert dataset.epoch.to_numpy().tolist() == [5, 10, 15, 20]
    assert dataset.x.sel(seed=3, init_scale=1.0).to_numpy()[[1, 3]].tolist() == [10, 20]


def test_steps_grow_with_the_epochs(tmp_path: Path) -> None:
    write_store(tmp_path / "r", {RUN: {0: build_row(0.0), 10: build_row(10.0)}})
    with ResultsStore.open(tmp_path / "r") as store:
        create_cube(store).write_steps({0: 0, 10: 700})
        create_cube(store).grow({"seed": [], "init_scale": [], "epoch": [5]})  # of which nobody knows the steps
        store.publish()
    assert read(tmp_path / "r").step.to_numpy().tolist() == [0, -1, 700]


def test_what_is_derived_is_written_beside_what_is_measured(tmp_path: Path) -> None:
    rows = {epoch: build_row(epoch) for epoch in range(2 * BLOCK + 1)}
    write_store(tmp_path / "r", {RUN: rows, (1, 1.0): rows})
    spec = VariableSpec(name="total", description="What follows.", reference="grokprobe")
    with ResultsStore.open(tmp_path / "r") as store:
        cube = store.cube(GROUP, block=BLOCK)
        cube.create_variables([spec], {})
        cube.write_derived(RUN, {"total": {epoch: 2.0 * epoch for epoch in range(BLOCK + 2)}})
        cube.write_derived(RUN, {"total": {1: 5.0}})
        write_rows(cube, RUN, {BLOCK: build_row(0, Status.FAILED)}, kept=set(rows) - {BLOCK})
        store.publish()
    dataset = read(tmp_path / "r")
    total = dataset.total.sel(seed=0, init_scale=1.0).to_numpy()
    expected = [np.nan, 5.0, np.nan, np.nan]  # the first cell was written again
    expected += [np.nan, 2.0 * (BLOCK + 1), np.nan, np.nan, np.nan]  # what was measured again has to be derived again
    np.testing.assert_array_equal(total, expected)
    assert np.isnan(dataset.total.sel(seed=1)).all()
    assert (dataset.status.sel(seed=1) == Status.OK).all()
    assert dataset.x.sel(seed=0, init_scale=1.0).to_numpy()[:BLOCK].tolist() == [0, 1, 2, 3]


def test_growing_by_nothing_changes_no_byte(tmp_path: Path) -> None:
    write_store(tmp_path / "r", {RUN: {0: build_row(1.0)}})
    before = {path: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()}
    store = ResultsStore(tmp_path / "r")
    store.cube(GROUP, block=BLOCK).grow({"seed": [0], "init_scale": [1.0], "epoch": [0]})
    assert {path: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()} == before


def test_a_cell_is_one_chunk_of_every_array_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_store(tmp_path / "r", {RUN: {epoch: build_row(epoch) for epoch in range(3 * BLOCK)}})
    cube = ResultsStore(tmp_path / "r").cube(GROUP, block=BLOCK)
    written: list[str] = []
    real = os.replace

    def replace(source: Any, target: Any, **options: Any) -> None:
        written.append(Path(target).relative_to(tmp_path / "r" / GROUP).as_posix())
        real(source, target, **options)

    monkeypatch.setattr(os, "replace", replace)
    cube.write(RUN, {epoch: build_row(-epoch) for epoch in range(BLOCK, 2 * BLOCK)}, frozenset())
    expected = {
        "x": "x/c/0/0/1",
        "n": "n/c/0/0/1",
        "v": "v/c/0/0/1/0",
        "checkpoint_digest": "checkpoint_digest/c/0/0/1",
    }
    assert Counter(written) == Counter([*expected.values(), "status/c/0/0/1"])
    assert written[-1] == "status/c/0/0/1"  # what is not said to be there is not there


def test_rows_of_two_cells_are_not_written_at_once(tmp_path: Path) -> None:
    write_store(tmp_path / "r", {RUN: {epoch: build_row(epoch) for epoch in range(2 * BLOCK)}})
    cube = ResultsStore(tmp_path / "r").cube(GROUP, block=BLOCK)
    with pytest.raises(ValueError, match="unpack"):
        cube.write(RUN, {BLOCK - 1: build_row(0), BLOCK: build_row(0)}, frozenset())


def test_rows_of_a_cell_that_are_not_kept_become_missing(tmp_path: Path) -> None:
    write_store(tmp_path / "r", {RUN: {epoch: build_row(epoch) for epoch in range(2 * BLOCK)}})
    cube = ResultsStore(tmp_path / "r").cube(GROUP, block=BLOCK)
    cube.write(RUN, {1: build_row(-1)}, frozenset({0, 1, 2}))
    dataset = read(tmp_path / "r").sel(seed=0, init_scale=1.0)
    assert dataset.status.to_numpy().tolist() == [1, 1, 1, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(dataset.x.to_numpy(), [0, -1, 2, np.nan, 4, 5, 6, 7])


def test_a_failure_clears_the_values_that_were_there(tmp_path: Path) -> None:
    write_store(tmp_path / "r", {RUN: {0: build_row(1.0), 1: build_row(2.0)}})
    ResultsStore(tmp_path / "r").cube(GROUP, block=BLOCK).write(RUN, {0: build_row(0, Status.FAILED)}, frozenset({1}))
    np.testing.assert_array_equal(read(tmp_path / "r").x.to_numpy().ravel(), [np.nan, 2.0])


def test_blocks_follow_stored_order(tmp_path: Path) -> None:
    with ResultsStore.open(tmp_path / "r") as store:
        cube = create_cube(store, block=2)
        cube.grow({"seed": [0], "init_scale": [1.0], "epoch": [10, 20, 30]})
        cube.grow({"seed": [0], "init_scale": [1.0], "epoch": [5, 15]})
        assert cube.blocks([5, 10, 15, 20, 30]) == {0: [10, 20], 1: [30, 5], 2: [15]}
        assert cube.blocks([15, 20]) == {0: [20], 2: [15]}


@pytest.mark.parametrize(
    "changed",
    [
        {"part": Coordinate(dim="part", values=np.array(["left", "middle"]))},
        {"part": Coordinate(dim="part", values=np.array(["left", "middle", "right"]))},
        {"part_size": Coordinate(dim="part", values=np.array([3, 6]))},
    ],
)
def test_other_labels_are_refused(tmp_path: Path, changed: dict[str, Coordinate]) -> None:
    write_store(tmp_path / "r", {RUN: {0: build_row(1.0)}})
    cube = ResultsStore(tmp_path / "r").cube(GROUP, block=BLOCK)
    cube.check_coordinates(PARTS)
    with pytest.raises(StoreError, match=f"{GROUP}: coordinate '{next(iter(changed))}'"):
        cube.check_coordinates(PARTS | changed)


def test_a_group_without_epochs_takes_one_value_a_run(tmp_path: Path) -> None:
    with ResultsStore.open(tmp_path / "r") as store:
        store.create_experiment("small", {})
        cube = store.cube("small/summary", leading=("seed", "init_scale"))
        cube.create({}, "")
        cube.grow({"seed": [0, 1], "init_scale": [1.0]})
        cube.create_variables(SPECS[:1], {})
        cube.write_run((1, 1.0), {"x": np.array(4.0)})
        cube.grow({"seed": [2], "init_scale": [0.5]})
        store.publish()
    dataset = open_results(tmp_path / "r")["small/summary"]
    np.testing.assert_array_equal(dataset.x.sel(init_scale=1.0).to_numpy(), [np.nan, 4.0, np.nan])
    np.testing.assert_array_equal(dataset.status.sel(init_scale=1.0).to_numpy(), [0, 1, 0])
    assert "epoch" not in dataset.dims
