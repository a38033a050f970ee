import errno
import json
import os
from pathlib import Path

import pytest

from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry, LedgerWriter, next_generation, read_ledger


def entry(inputs: str, status: Status = Status.OK, error: str = "") -> Entry:
    return Entry(status=status, inputs=inputs, error=error)


def at(epoch: int, group: str = "e/probes/p", seed: int = 0, init_scale: float = 1.0) -> Coordinate:
    return Coordinate(group, seed, init_scale, epoch)


ENTRIES = {at(0): entry("a"), at(10): entry("b", Status.FAILED, 'it said "no" \n twice — ü'), at(20): entry("c")}


def only_file(directory: Path) -> Path:
    (path,) = directory.glob("*.jsonl")
    return path


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "ledger", 0)
    writer.append(ENTRIES)
    other = {at(5, "e/probes/q", 3, 0.1): entry("d", Status.REFUSED, "unsafe")}
    writer.append(other)
    assert read_ledger(tmp_path / "ledger") == ENTRIES | other
    assert len(only_file(tmp_path / "ledger").read_text().splitlines()) == 2


def test_nothing_appended_writes_nothing(tmp_path: Path) -> None:
    LedgerWriter(tmp_path / "ledger", 0).append({})
    assert not (tmp_path / "ledger").exists()
    assert read_ledger(tmp_path / "ledger") == {}
    assert next_generation(tmp_path / "ledger") == 0


def test_the_latest_line_counts(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path, 0)
    writer.append({at(0): entry("old")})
    writer.append({at(0): entry("new")})
    assert read_ledger(tmp_path) == {at(0): entry("new")}


@pytest.mark.parametrize("generations", [(0, 1, 2), (9, 10, 11), (99, 100, 1000)])
def test_the_latest_generation_counts(tmp_path: Path, generations: tuple[int, ...]) -> None:
    for generation in reversed(generations):
        LedgerWriter(tmp_path, generation).append({at(0): entry(str(generation)), at(generation + 1): entry("own")})
    expected = {at(0): entry(str(generations[-1]))} | {at(generation + 1): entry("own") for generation in generations}
    assert read_ledger(tmp_path) == expected
    assert next_generation(tmp_path) == generations[-1] + 1


@pytest.mark.parametrize("cut", [1, 8, 9, 20, -1, -2])
def test_a_torn_last_line_is_ignored(tmp_path: Path, cut: int) -> None:
    writer = LedgerWriter(tmp_path, 0)
    writer.append({at(0): entry("a")})
    whole = only_file(tmp_path).read_bytes()
    writer.append({at(0): entry("b"), at(1): entry("b")})
    lines = only_file(tmp_path).read_bytes()
    last = lines[len(whole) :]
    only_file(tmp_path).write_bytes(whole + last[: cut if cut > 0 else len(last) + cut - 1])
    assert read_ledger(tmp_path) == {at(0): entry("a")}


def test_a_line_after_a_torn_one_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LedgerWriter(tmp_path, 0).append({at(0): entry("a")})
    real = os.write

    def fill_the_disk(descriptor: int, content: bytes) -> int:
        monkeypatch.setattr(os, "write", refuse)
        return real(descriptor, content[:20])

    def refuse(_descriptor: int, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        LedgerWriter(tmp_path, 0).append({at(0): entry("b")})
    monkeypatch.setattr(os, "write", real)
    LedgerWriter(tmp_path, 0).append({at(1): entry("c")})
    assert read_ledger(tmp_path) == {at(0): entry("a"), at(1): entry("c")}


def test_every_single_bit_flip_costs_its_line_and_no_other(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path, 0)
    for epoch in range(3):
        writer.append({at(epoch): entry(f"inputs-{epoch}", error="x y")})
    path = only_file(tmp_path)
    whole = path.read_bytes()
    lines = whole.split(b"\n")
    start, length = len(lines[0]) + 1, len(lines[1])
    others = {at(0): entry("inputs-0", error="x y"), at(2): entry("inputs-2", error="x y")}
    for position in range(start, start + length):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            assert read_ledger(tmp_path) == others, (position, bit)


def test_a_line_is_json_behind_its_checksum(tmp_path: Path) -> None:
    LedgerWriter(tmp_path, 0).append(ENTRIES)
    checksum, _, text = only_file(tmp_path).read_text().partition(" ")
    assert len(checksum) == 8
    assert json.loads(text)["epoch"] == [0, 10, 20]
