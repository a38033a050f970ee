"""The ledger: an append-only record of what is done, with which inputs.

One file per writing process, one line per write, ``<crc32> <json>``. A line torn by a kill fails its checksum and is
ignored. The newest line about a coordinate counts, so resuming, detecting changed checkpoints and retrying failures
all follow from it.
"""

import functools
import json
import os
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from grokprobe.status import Status

#: Epoch of an entry about a whole run.
WHOLE_RUN: Final = -1


class Coordinate(NamedTuple):
    """One work item of one group."""

    #: Path of the group in the store.
    group: str
    #: The seed.
    seed: int
    #: The initialisation scale.
    init_scale: float
    #: The epoch, or :data:`WHOLE_RUN`.
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the ledger says about one coordinate."""

    #: What happened there.
    status: Status
    #: Digest of everything the result depends on.
    inputs: str
    #: Why it failed; empty where it did not.
    error: str = ""


class LedgerWriter:
    """Appends to the file of this process and generation, created at the first append."""

    def __init__(self, directory: Path, generation: int) -> None:
        """Binds the writer; writes nothing.

        Args:
            directory: the ledger.
            generation: number of the session; lines of a later generation count over earlier ones.
        """
        self._directory = directory
        self._path = directory / ledger_name(generation)

    def append(self, entries: Mapping[Coordinate, Entry]) -> None:
        """Appends one line about coordinates of one run and group. It counts once the line is whole on disk."""
        if not entries:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            content = encode_line(entries)
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":  # the disk was full half-way through a line
                content = b"\n" + content
            while content:
                content = content[os.write(descriptor, content) :]
        finally:
            os.close(descriptor)


def encode_line(entries: Mapping[Coordinate, Entry]) -> bytes:
    """Returns the line about coordinates of one run and group."""
    group, seed, init_scale, _ = next(iter(entries))
    record = {
        "group": group,
        "seed": seed,
        "init_scale": init_scale,
        "epoch": [coordinate.epoch for coordinate in entries],
        "status": [int(entry.status) for entry in entries.values()],
        "inputs": [entry.inputs for entry in entries.values()],
        "error": [entry.error for entry in entries.values()],
    }
    text = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def ledger_name(generation: int) -> str:
    """Returns the name of the file of this process for a generation."""
    return f"{generation:08d}-{_process_name(os.getpid())}.jsonl"


def read_ledger(directory: Path, since: int = 0) -> dict[Coordinate, Entry]:
    """Returns the newest entry about every coordinate, of the generations from ``since`` on."""
    entries: dict[Coordinate, Entry] = {}
    for path in sorted(directory.glob("*.jsonl")):
        if int(path.name[:8]) >= since:
            entries.update(parse_ledger(path.read_bytes()))
    return entries


def parse_ledger(content: bytes) -> Iterator[tuple[Coordinate, Entry]]:
    """Yields what the whole lines of one file say, in their order."""
    for line in content.split(b"\n"):
        checksum, _, text = line.partition(b" ")
        if not text or checksum != b"%08x" % zlib.crc32(text):
            continue
        record = json.loads(text)
        columns = zip(record["epoch"], record["status"], record["inputs"], record["error"], strict=True)
        for epoch, status, inputs, error in columns:
            coordinate = Coordinate(record["group"], record["seed"], record["init_scale"], epoch)
            yield coordinate, Entry(status=Status(status), inputs=inputs, error=error)


def next_generation(directory: Path) -> int:
    """Returns a number above that of every ledger file there is."""
    return 1 + max((int(path.name[:8]) for path in directory.glob("*.jsonl")), default=-1)


@functools.lru_cache(maxsize=1)
def _process_name(_process: int) -> str:
    return uuid.uuid4().hex
