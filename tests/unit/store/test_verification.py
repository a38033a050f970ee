"""What ``verify`` finds, how it names it, and that the same work again mends it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import grokprobe
from grokprobe.errors import StoreError, UsageError
from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry, LedgerWriter, ResultsStore, Verification, compact, read_ledger, verify
from object_store_server import Bucket
from unit.store.published import publish_small
from unit.store.small_store import BLOCK, GROUP, PARTS, SPECS, build_row, create_cube, read, write_rows, write_store
from write_events import Moments, watching_writes

RUNS = ((0, 1.0), (1, 1.0))
EPOCHS = tuple(range(0, 60, 10))  # the second cell is half empty
DIGEST = "inputs"


def write(path: Path) -> None:
    """Measures what the ledger does not have, as an analysis does: data first, then the ledger."""
    with ResultsStore.open(path) as store:
        entries = {c for c, entry in read_ledger(store.ledger).items() if entry.status is Status.OK}
        ledger = LedgerWriter(store.ledger, len(list(store.ledger.glob("*"))))
        cube = create_cube(store)
        cube.grow({"seed": [seed for seed, _ in RUNS], "init_scale": [1.0], "epoch": EPOCHS})
        cube.create_variables(SPECS, PARTS)
        for run in RUNS:
            rows = {epoch: build_row(100 * run[0] + epoch) for epoch in EPOCHS if at(run, epoch) not in entries}
            write_rows(cube, run, rows, kept=[c.epoch for c in entries if (c.seed, c.init_scale) == run])
            ledger.append({at(run, epoch): Entry(status=Status.OK, inputs=DIGEST) for epoch in rows})
        store.publish()


def at(run: tuple[int, float], epoch: int) -> Coordinate:
    return Coordinate(GROUP, *run, epoch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "r")
    return tmp_path / "r"


def said(found: Verification) -> list[str]:
    return [str(fault) for fault in found.faults]


def test_a_whole_store(path: Path) -> None:
    before = tree(path)
    found = verify(path)
    assert (found.faults, found.exit_code, found.leftovers) == ((), 0, ())
    assert (found.num_groups, found.num_results, found.num_unlisted) == (1, len(RUNS) * len(EPOCHS), 0)
    # five variables in two cells of each run, three leading coordinates and two of its own
    assert found.num_chunks == 5 * 2 * len(RUNS) + 3 + 2
    assert not found.is_unfinished
    assert tree(path) == before


CELL = "seed 1 init_scale 1 epochs 0 … 30 (4)"
UNDECODABLE = "its chunk cannot be decoded: Stored and computed checksum do not match"
REST = "seed 1 init_scale 1 epochs 40, 50"
#: What is done to a file of the group → how it is said, and the epochs that are measured again.
DAMAGES: dict[str, tuple[str, str, int]] = {
    "x/c/1/0/0": ("flip", f"{GROUP} x {CELL}: {UNDECODABLE}", 4),
    "v/c/1/0/1/0": ("delete", f"{GROUP} v {REST}: its chunk is absent", 2),
    "n/c/1/0/1": ("empty", f"{GROUP} n {REST}: {UNDECODABLE}", 2),
    "status/c/1/0/0": ("flip", f"{GROUP} status {CELL}: {UNDECODABLE}", 4),
    "status/c/1/0/1": ("delete", f"{GROUP} status {REST}: the ledger says ok, the store says missing", 2),
    "checkpoint_digest/c/1/0/0": ("flip", f"{GROUP} checkpoint_digest {CELL}: {UNDECODABLE}", 4),
    "part/c/0": ("flip", f"{GROUP} part: {UNDECODABLE}", 12),
    "part_size/c/0": ("delete", f"{GROUP} part_size: its chunk is absent", 12),
    "epoch/c/0": ("flip", f"{GROUP} epoch: {UNDECODABLE}", 12),
    "seed/c/0": ("delete", f"{GROUP} seed: 2 values are absent", 12),
    "x/zarr.json": ("empty", f"{GROUP} x: its metadata cannot be read", 0),
    "status/zarr.json": ("flip", f"{GROUP} status: its metadata cannot be read", 0),
    "zarr.json": ("delete", f"{GROUP}: its metadata are absent", 0),
    "n": ("delete", f"{GROUP} n: its metadata are absent", 12),
    ".": ("delete", f"{GROUP}: its metadata are absent", 12),
}


def damage(file: Path, how: str) -> None:
    if how == "delete":
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    elif how == "empty":
        file.write_bytes(b"")
    else:
        content = bytearray(file.read_bytes())
        content[0] ^= 16
        file.write_bytes(content)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_and_mended(path: Path, name: str) -> None:
    how, words, num_again = DAMAGES[name]
    whole = tree(path)
    damage(path / GROUP / name, how)
    damaged = tree(path)
    found = verify(path)
    assert found.exit_code == 3
    assert any(line.startswith(words) for line in said(found)), said(found)
    assert tree(path) == damaged  # looking changes nothing
    if name not in (".", "n", "zarr.json"):
        assert len(found.faults) == 1

    repaired = verify(path, repair=True)
    assert (repaired.exit_code, repaired.is_repaired) == (3, True)
    assert set(found.faults) <= set(repaired.faults)
    assert verify(path).faults == ()
    missing = {c for c, entry in read_ledger(path / ".grokprobe/ledger").items() if entry.status is Status.MISSING}
    assert len(missing) == num_again
    if num_again not in (0, 12):  # for readers, too: what is lost is missing, all else is as it was
        status = read(path).status.sel(seed=1, init_scale=1.0)
        assert {int(e) for e in status.epoch[status == Status.MISSING]} == {c.epoch for c in missing}
        assert (read(path).status.sel(seed=0) == Status.OK).all()
    write(path)
    assert verify(path).faults == ()
    assert tree(path) == whole


@pytest.mark.parametrize("name", ["x/c/1/0/0", "part/c/0", "x/zarr.json"])
def test_a_repair_that_is_killed_is_given_again(path: Path, tmp_path: Path, name: str) -> None:
    whole, moments = tree(path), Moments(path, tmp_path / "moments")
    damage(path / GROUP / name, DAMAGES[name][0])
    with watching_writes(path, moments):
        verify(path, repair=True)
    for left, moment in moments.copies.items():
        verify(left, repair=True)
        assert verify(left).faults == (), moment
        write(left)
        assert tree(left) == whole, moment


def test_a_metadata_that_readers_see_otherwise(path: Path) -> None:
    document = json.loads((path / "zarr.json").read_text())
    node = document["consolidated_metadata"]["metadata"][f"{GROUP}/x"]
    node["attributes"]["units"] = "m"
    (path / "zarr.json").write_text(json.dumps(document))
    assert said(verify(path)) == [f"{GROUP} x: its metadata are not those that are published, which readers see"]
    verify(path, repair=True)
    assert verify(path).faults == ()
    assert read(path).x.attrs["units"] == "1"


def test_a_result_that_the_ledger_lists_and_the_coordinates_lack(path: Path) -> None:
    ledger = LedgerWriter(path / ".grokprobe" / "ledger", 7)
    ledger.append({at((0, 1.0), 990): Entry(status=Status.OK, inputs=DIGEST)})
    ledger.append({Coordinate("small/probes/other", 0, 1.0, 0): Entry(status=Status.OK, inputs=DIGEST)})
    assert said(verify(path)) == [
        "small/probes/other: the ledger says that it was measured, and it is absent",
        f"{GROUP} seed 0 init_scale 1 epoch 990: the ledger says that it was measured, and the coordinates lack it",
    ]
    verify(path, repair=True)
    assert verify(path).faults == ()


def test_what_the_ledger_does_not_list_is_no_fault(path: Path) -> None:
    shutil.rmtree(path / ".grokprobe")  # a copy of the results alone
    found = verify(path)
    assert (found.faults, found.num_unlisted) == ((), len(RUNS) * len(EPOCHS))
    assert not (path / ".grokprobe").exists()


def test_failures_and_what_was_never_measured_are_no_faults(tmp_path: Path) -> None:
    write_store(tmp_path / "r", {(0, 1.0): {0: build_row(0, Status.FAILED)}, (1, 0.5): {10: build_row(1.0)}})
    ledger = LedgerWriter(tmp_path / "r" / ".grokprobe" / "ledger", 0)
    ledger.append({at((0, 1.0), 0): Entry(status=Status.FAILED, inputs=DIGEST, error="no")})
    found = verify(tmp_path / "r")
    assert (found.faults, found.num_results, found.num_unlisted) == ((), 1, 1)


def test_leftovers_are_counted(path: Path) -> None:
    (path / GROUP / "x" / "c" / "0.abc.partial").write_bytes(b"half")
    (path / ".grokprobe" / "writing").touch()
    found = verify(path)
    assert (found.exit_code, found.is_unfinished, len(found.leftovers)) == (0, True, 1)


def test_a_half_grown_group_is_no_fault(path: Path) -> None:
    (path / ".grokprobe" / "writing").touch()
    cube = ResultsStore(path).cube(GROUP, block=BLOCK)
    cube._array("epoch").resize((9,))
    cube._array("x").resize((2, 1, 9))
    assert verify(path).faults == ()


def test_a_store_that_is_being_written_is_left_alone(path: Path) -> None:
    with FileLock(path / ".grokprobe" / "lock"), pytest.raises(StoreError, match="being written") as refused:
        verify(path)
    assert refused.value.exit_code == 5
    with (
        ResultsStore(path).writers.hold("shard-1-of-2"),
        pytest.raises(StoreError, match="being written by 1 other processes or calls, such as shard-1-of-2"),
    ):
        verify(path, repair=True)


def test_in_an_object_store_the_working_copy_is_read_and_tidied(bucket: Bucket) -> None:
    publish_small(bucket.url)
    found = verify(bucket.url)
    assert (found.results, found.faults, found.num_results) == (bucket.url, (), 40)
    with pytest.raises(UsageError, match=r"--repair: expected a directory, found s3://.*working copy is .*remove that"):
        verify(bucket.url, repair=True)
    assert compact(bucket.url).results == bucket.url
    assert verify(bucket.url).faults == ()


@pytest.mark.parametrize("options", [{}, {"repair": True}])
def test_something_else(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="found nothing at"):
        verify(tmp_path / "nowhere", **options)
    with pytest.raises(UsageError, match="something else"):
        grokprobe.verify(str(tmp_path), **options)
    assert list(tmp_path.iterdir()) == []


def tree(path: Path) -> dict[str, bytes]:
    """Every file of the results, and of the ledger."""
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and ".grokprobe" not in file.relative_to(path).parts
    }
