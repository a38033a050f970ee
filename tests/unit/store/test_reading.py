from pathlib import Path

import pytest
import xarray as xr

import grokprobe
from grokprobe.errors import UsageError
from grokprobe.store import ResultsStore, read_group
from unit.store.small_store import GROUP, build_row, create_cube, write_store


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    rows = {epoch: build_row(epoch) for epoch in (5, 3)}
    write_store(tmp_path / "r", {(2, 10.0): rows, (1, 0.1): rows})
    with ResultsStore.open(tmp_path / "r") as store:
        cube = create_cube(store)
        cube.grow({"seed": [2], "init_scale": [10.0], "epoch": [4, 0]})
        store.publish()
    return tmp_path / "r"


def test_sorted_along_every_leading_dimension(store_path: Path) -> None:
    dataset = grokprobe.open_results(store_path)[GROUP]
    assert dataset.seed.to_numpy().tolist() == [1, 2]
    assert dataset.init_scale.to_numpy().tolist() == [0.1, 10.0]
    assert dataset.epoch.to_numpy().tolist() == [0, 3, 4, 5]
    assert dataset.part.to_numpy().tolist() == ["left", "right"]  # in the order of the measure
    assert dataset.x.sel(seed=2, init_scale=10.0, epoch=5).item() == 5


def test_same_values_as_in_stored_order(store_path: Path) -> None:
    stored = xr.open_datatree(store_path, engine="zarr")[GROUP].to_dataset().load()
    assert stored.epoch.to_numpy().tolist() != sorted(stored.epoch.to_numpy().tolist())
    opened = grokprobe.open_results(str(store_path))[GROUP].to_dataset().load()
    xr.testing.assert_identical(opened, stored.sel(opened.indexes))


def test_opened_without_reading_values(store_path: Path) -> None:
    chunk = next((store_path / GROUP / "x" / "c").rglob("0"))
    for path in (store_path / GROUP / "x" / "c").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    assert chunk.exists()
    tree = grokprobe.open_results(store_path)
    assert tree[GROUP].sizes["epoch"] == 4
    with pytest.raises(ValueError, match="checksum"):
        tree[GROUP].x.to_numpy()


def test_one_group_can_be_read_before_it_is_published(store_path: Path) -> None:
    with ResultsStore.open(store_path) as store:
        create_cube(store).grow({"seed": [2], "init_scale": [10.0], "epoch": [7]})
        assert 7 in read_group(store_path, GROUP).epoch.to_numpy()
        assert 7 not in grokprobe.open_results(store_path)[GROUP].epoch.to_numpy()


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found nothing at"):
        grokprobe.open_results(tmp_path / "r")
