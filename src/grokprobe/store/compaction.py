"""The verb ``compact``: a store without what it no longer needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grokprobe.atomic import PARTIAL_SUFFIX, write_atomically
from grokprobe.errors import reporting_write_errors
from grokprobe.store.ledger import Coordinate, Entry, encode_line, ledger_name, next_generation, read_ledger
from grokprobe.store.places import open_place
from grokprobe.store.removal import REMOVED_DIRECTORY, delete_discarded
from grokprobe.store.results import PRIVATE_DIRECTORY, ResultsStore, check_format
from grokprobe.store.verification import holding


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """What ``compact`` did."""

    #: The store.
    results: str | Path
    #: Files and bytes of the ledger, before and after.
    ledger_files: tuple[int, int]
    ledger_bytes: tuple[int, int]
    #: Files, and their bytes, that killed processes left half-written or half-deleted.
    num_leftovers: int
    leftover_bytes: int

    @property
    def saved_bytes(self) -> int:
        """Bytes that are free now."""
        return self.ledger_bytes[0] - self.ledger_bytes[1] + self.leftover_bytes


def compact(path: str | Path) -> Compaction:
    """Writes the ledger of a results store as one file with the newest entry of every coordinate, and tidies up.

    No value changes, and what is done stays done. A kill at any moment loses nothing: the new file says the same as all
    old ones, counts over them, and is whole before the first of them goes.

    Args:
        path: of the store, or its URL.

    Raises:
        UsageError: there is no results store at ``path``.
        StoreError: it is being written, or its format is newer.
        StoreWriteError: it cannot be written.
    """
    with open_place(path) as place:
        check_format(place.path)
        with holding(place.path, must_hold=True), reporting_write_errors(place.path):
            done = _compact(place.path, place.name)
            place.on_publish()
            return done


def _compact(path: Path, name: str | Path) -> Compaction:
    private = path / PRIVATE_DIRECTORY
    removed = private / REMOVED_DIRECTORY
    leftovers = [
        *(file for file in path.rglob(f"*{PARTIAL_SUFFIX}") if removed not in file.parents),
        *(file for file in removed.rglob("*") if file.is_file()),
    ]
    leftover_bytes = sum(file.stat().st_size for file in leftovers)
    ledger = ResultsStore(path).ledger
    before = _files(ledger)
    if len(before) > 1 or _is_longer(before, read_ledger(ledger)):
        _write_one_file(ledger, read_ledger(ledger))
        for file in before:
            file.unlink()
    delete_discarded(private)
    for file in leftovers:
        file.unlink(missing_ok=True)
    after = _files(ledger)
    return Compaction(
        results=name,
        ledger_files=(len(before), len(after)),
        ledger_bytes=(sum(before.values()), sum(after.values())),
        num_leftovers=len(leftovers),
        leftover_bytes=leftover_bytes,
    )


def _files(ledger: Path) -> dict[Path, int]:
    return {file: file.stat().st_size for file in sorted(ledger.glob("*.jsonl"))}


def _is_longer(files: Mapping[Path, int], entries: Mapping[Coordinate, Entry]) -> bool:
    return sum(files.values()) > len(_content(entries))


def _write_one_file(ledger: Path, entries: Mapping[Coordinate, Entry]) -> None:
    write_atomically(ledger / ledger_name(next_generation(ledger)), _content(entries))


def _content(entries: Mapping[Coordinate, Entry]) -> bytes:
    """Returns the lines of all entries, one a group and run."""
    lines: dict[tuple[str, int, float], dict[Coordinate, Entry]] = {}
    for coordinate, entry in entries.items():
        lines.setdefault(coordinate[:3], {})[coordinate] = entry
    return b"".join(map(encode_line, lines.values()))
