import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from filelock import FileLock

import grokprobe
from grokprobe.analysis import AnalysisReport
from grokprobe.errors import StoreError, StoreWriteError, UsageError, reporting_write_errors
from grokprobe.store import PRIVATE_DIRECTORY, ResultsStore, check_format
from strangers import write_stranger_run
from unit.store.small_store import GROUP, build_row, create_cube, read, write_store

RUN = (0, 1.0)


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    write_store(tmp_path / "r", {RUN: {0: build_row(1.0), 1: build_row(2.0)}})
    return tmp_path / "r"


def test_a_new_store_is_empty_and_readable(tmp_path: Path) -> None:
    with ResultsStore.open(tmp_path / "deep" / "r") as store:
        assert store.experiments() == {}
    tree = xr.open_datatree(tmp_path / "deep" / "r", engine="zarr")
    assert tree.attrs == {"grokprobe_format": 1, "Conventions": "CF-1.11"}
    assert not tree.children


def test_experiments_and_groups_are_listed(store_path: Path) -> None:
    store = ResultsStore(store_path)
    assert store.experiments() == {"small": {"experiment": "small"}}
    assert store.measured_groups("small") == [GROUP]
    assert store.measured_groups("other") == []


def test_every_parent_of_a_group_is_a_group(tmp_path: Path) -> None:
    with ResultsStore.open(tmp_path / "r") as store:
        store.cube("deep/probes/p").create({}, "epochs")
        store.publish()
    assert [node.path for node in xr.open_datatree(tmp_path / "r", engine="zarr").subtree] == [
        "/", "/deep", "/deep/probes", "/deep/probes/p"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        {"notes.txt": "mine"},
        {"zarr.json": "no JSON"},
        {"zarr.json": json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}})},
        {"zarr.json": json.dumps([])},
        {"zarr.json": json.dumps({"attributes": {"grokprobe_format": "new"}})},
    ],
    ids=["a directory", "damaged", "another zarr store", "a list", "a word for a version"],
)
def test_something_else_at_the_path_is_left_alone(tmp_path: Path, content: dict[str, str]) -> None:
    path = tmp_path / "r"
    path.mkdir()
    for name, text in content.items():
        (path / name).write_text(text)
    with pytest.raises(UsageError, match=f"found something else at {path}"), ResultsStore.open(path):
        pass
    with pytest.raises(UsageError):
        check_format(path)
    assert {entry.name: entry.read_text() for entry in path.iterdir()} == content


def test_a_file_at_the_path_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("mine")
    with pytest.raises(UsageError, match="something else"), ResultsStore.open(tmp_path / "r"):
        pass


def test_nothing_at_the_path(tmp_path: Path) -> None:
    check_format(tmp_path / "r", may_be_absent=True)
    with pytest.raises(UsageError, match="found nothing at"):
        check_format(tmp_path / "r")
    (tmp_path / "r" / PRIVATE_DIRECTORY).mkdir(parents=True)  # all that a process killed at once leaves
    check_format(tmp_path / "r", may_be_absent=True)


def test_a_newer_format_is_refused_with_exit_code_5(store_path: Path) -> None:
    root = store_path / "zarr.json"
    document = json.loads(root.read_text())
    document["attributes"]["grokprobe_format"] = 2
    root.write_text(json.dumps(document))
    with pytest.raises(StoreError, match="format 2, this version reads up to 1") as refused:
        grokprobe.open_results(store_path)
    assert refused.value.exit_code == 5
    with pytest.raises(StoreError, match="format 2"), ResultsStore.open(store_path):
        pass
    assert json.loads(root.read_text()) == document


def test_one_writer_at_a_time(store_path: Path) -> None:
    with FileLock(store_path / PRIVATE_DIRECTORY / "lock"):
        with (
            pytest.raises(StoreError, match="being written by another process") as refused,
            ResultsStore.open(store_path),
        ):
            pass
        assert refused.value.exit_code == 5
        assert read(store_path).sizes["epoch"] == 2  # reading needs no lock
    with ResultsStore.open(store_path) as store:
        assert store.experiments()


def test_the_lock_is_let_go_after_an_error(store_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), ResultsStore.open(store_path):
        _ = 1 / 0
    with ResultsStore.open(store_path) as store:
        assert store.experiments()


def test_what_a_kill_left_half_written_is_removed(store_path: Path) -> None:
    partial = store_path / GROUP / "x" / "c" / "0" / "0" / "0.abc.partial"
    partial.write_bytes(b"half")
    with ResultsStore.open(store_path):
        assert partial.exists()  # the last process ended well: nothing is looked for
    (store_path / PRIVATE_DIRECTORY / "writing").touch()
    with ResultsStore.open(store_path):
        assert not partial.exists()
    assert not (store_path / PRIVATE_DIRECTORY / "writing").exists()


def test_growth_is_seen_when_it_is_published(store_path: Path) -> None:
    before = read(store_path)
    with ResultsStore.open(store_path) as store:
        cube = create_cube(store)
        cube.grow({"seed": [1], "init_scale": [1.0], "epoch": [5]})
        cube.write((1, 1.0), {5: build_row(3.0)}, frozenset())
        xr.testing.assert_identical(read(store_path), before)
        store.publish()
        assert read(store_path).sel(seed=1, init_scale=1.0, epoch=5).x.item() == 3.0
    xr.testing.assert_identical(read(store_path).sel(seed=[0], epoch=[0, 1]), before)


def test_a_removed_group_is_gone_for_readers_and_from_disk(store_path: Path) -> None:
    with ResultsStore.open(store_path) as store:
        store.remove(GROUP)
        assert not (store_path / GROUP).exists()
        tree = grokprobe.open_results(store_path)
        assert list(tree.children) == ["small"]
        assert not tree["small/probes"].children


def test_an_operating_system_error_is_reported_as_one_of_writing(tmp_path: Path) -> None:
    with pytest.raises(StoreWriteError, match=r"No space left.*unchanged") as failed, reporting_write_errors(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert failed.value.exit_code == 6


def analyze(root: Path, **options: Any) -> AnalysisReport:
    return grokprobe.analyze(root / "run", out=root / "r.zarr", probes=["weights"], **options)


def test_a_read_only_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stranger_run(tmp_path / "run", [0, 1])

    def refuse(self: Path, *args: Any, **options: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreWriteError, match="Permission denied"):
        analyze(tmp_path)
    assert not (tmp_path / "r.zarr").exists()


class FullDisk:
    """Lets ``number`` renames through, then refuses them: for good, or once."""

    def __init__(self, number: int, *, for_good: bool) -> None:
        self.left, self.for_good, self.has_refused = number, for_good, False
        self.real = os.replace

    def __call__(self, source: Any, target: Any, **options: Any) -> None:
        self.left -= 1
        if self.left == -1 or (self.left < 0 and self.for_good):
            self.has_refused = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.real(source, target, **options)


@pytest.mark.parametrize("for_good", [True, False], ids=["for good", "once"])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 5, 8, 12])
def test_a_full_disk_leaves_what_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, for_good: bool
) -> None:
    write_stranger_run(tmp_path / "run", [0, 1, 2, 3])
    analyze(tmp_path, epochs="0-1")
    group = "checkpoints/probes/weights"
    before = grokprobe.open_results(tmp_path / "r.zarr")[group].to_dataset().load()
    disk = FullDisk(number, for_good=for_good)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", disk)
        with pytest.raises(StoreWriteError, match="No space left"):
            analyze(tmp_path)
    assert disk.has_refused
    after = grokprobe.open_results(tmp_path / "r.zarr")[group].to_dataset().load()
    xr.testing.assert_identical(after.sel(epoch=[0, 1]), before)
    assert set(after.epoch.to_numpy().tolist()) <= {0, 1, 2, 3}
    report = analyze(tmp_path)  # with room again, the same command goes on
    assert report.exit_code == 0
    whole = grokprobe.open_results(tmp_path / "r.zarr")[group].to_dataset().load()
    assert whole.epoch.to_numpy().tolist() == [0, 1, 2, 3]
    assert (whole.status == 1).all()
