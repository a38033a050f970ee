"""``compact`` tidies and changes nothing."""

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

import grokprobe
from grokprobe.errors import StoreError, StoreWriteError, UsageError
from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry, LedgerWriter, ResultsStore, compact, read_ledger, verify
from program import tree_bytes
from unit.store.small_store import GROUP, build_row, write_store
from write_events import Moments, watching_writes

RUN = (0, 1.0)


def entry(inputs: str, status: Status = Status.OK) -> Entry:
    return Entry(status=status, inputs=inputs, error="no" if status is Status.FAILED else "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with a ledger of many files, some of which say what others take back, and leftovers."""
    path = tmp_path / "r"
    write_store(path, {RUN: {epoch: build_row(epoch) for epoch in range(6)}})
    ledger = path / ".grokprobe" / "ledger"
    for generation in range(4):
        for epoch in range(6):
            own = {Coordinate(GROUP, *RUN, epoch): entry(f"{generation} {epoch}")}
            LedgerWriter(ledger, generation).append(own)
    LedgerWriter(ledger, 4).append({Coordinate(GROUP, 1, 1.0, 3): entry("x", Status.FAILED)})
    LedgerWriter(ledger, 5).append({Coordinate("small/probes/old", 0, 1.0, -1): entry("", Status.MISSING)})
    with (ledger / "00000005-torn.jsonl").open("w") as file:
        file.write('01234567 {"group":"half')
    (path / GROUP / "x" / "c" / "0" / "0" / "0.abc.partial").write_bytes(b"half")
    removed = path / ".grokprobe" / "removed" / "123" / "x"
    removed.mkdir(parents=True)
    (removed / "zarr.json").write_bytes(b"old")
    return path


def test_one_file_says_what_all_said(path: Path) -> None:
    ledger = path / ".grokprobe" / "ledger"
    before, values = read_ledger(ledger), tree_bytes(path)
    size = sum(file.stat().st_size for file in ledger.iterdir())
    done = grokprobe.compact(path)
    assert read_ledger(ledger) == before
    (file,) = ledger.iterdir()
    assert done.ledger_files == (7, 1)
    assert done.ledger_bytes == (size, file.stat().st_size)
    assert (done.num_leftovers, done.leftover_bytes) == (2, 7)
    assert done.saved_bytes == size - file.stat().st_size + 7
    assert len(file.read_text().splitlines()) == 3  # one a group and run
    partial = f"{GROUP}/x/c/0/0/0.abc.partial"
    assert tree_bytes(path) == {name: content for name, content in values.items() if name != partial}
    assert not (path / ".grokprobe" / "removed").exists()
    assert verify(path).leftovers == ()

    LedgerWriter(ledger, 6).append({Coordinate(GROUP, *RUN, 0): entry("newer")})
    assert read_ledger(ledger)[Coordinate(GROUP, *RUN, 0)].inputs == "newer"


def test_a_tidy_store_is_left_as_it_is(path: Path) -> None:
    compact(path)
    (file,) = (path / ".grokprobe" / "ledger").iterdir()
    again = compact(path)
    assert (again.saved_bytes, again.ledger_files) == (0, (1, 1))
    assert file.exists()


def test_killed_at_every_event(path: Path, tmp_path: Path) -> None:
    before, moments = read_ledger(path / ".grokprobe" / "ledger"), Moments(path, tmp_path / "moments")
    values = {name: content for name, content in tree_bytes(path).items() if not name.endswith(".partial")}
    with watching_writes(path, moments):
        compact(path)
    assert moments.num_events > 15
    for left, moment in moments.copies.items():
        assert read_ledger(left / ".grokprobe" / "ledger") == before, moment
        compact(left)
        assert read_ledger(left / ".grokprobe" / "ledger") == before, moment
        assert tree_bytes(left) == values, moment
        assert not (left / ".grokprobe" / "removed").exists(), moment
        assert len(list((left / ".grokprobe" / "ledger").iterdir())) == 1, moment


def test_refused_at_every_event(path: Path, tmp_path: Path) -> None:
    before, events = read_ledger(path / ".grokprobe" / "ledger"), []
    shutil.copytree(path, tmp_path / "whole")
    with watching_writes(tmp_path / "whole", lambda kind, file: events.append(kind)):
        compact(tmp_path / "whole")
    assert set(events) >= {"open", "write", "fsync", "replace", "unlink", "rmdir"}
    for number, kind in enumerate(events):
        if kind == "mkdir":  # of a directory that exists
            continue
        left = tmp_path / str(number)
        shutil.copytree(path, left)
        with watching_writes(left, refusing(number)), pytest.raises(StoreWriteError, match="Input/output error"):
            compact(left)
        assert read_ledger(left / ".grokprobe" / "ledger") == before


def refusing(number: int) -> Callable[[str, str], None]:
    events = itertools.count()

    def refuse(_kind: str, _file: str) -> None:
        if next(events) == number:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    return refuse


def test_a_store_that_is_being_written_is_left_alone(path: Path) -> None:
    with FileLock(path / ".grokprobe" / "lock"), pytest.raises(StoreError, match="being written by another") as refused:
        compact(path)
    assert refused.value.exit_code == 5
    with ResultsStore(path).writers.hold("unit-1"), pytest.raises(StoreError, match="such as unit-1") as refused:
        compact(path)
    assert refused.value.exit_code == 5
    assert len(list((path / ".grokprobe" / "ledger").iterdir())) == 7


def test_something_else(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found nothing at"):
        compact(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="something else"):
        compact(tmp_path)
    assert list(tmp_path.iterdir()) == []
