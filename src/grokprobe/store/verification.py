"""The verb ``verify``: what of a store is not as it was written, and how it is mended."""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from grokprobe import names
from grokprobe.atomic import PARTIAL_SUFFIX
from grokprobe.errors import UsageError, reporting_write_errors
from grokprobe.progress import Progress, SilentProgress
from grokprobe.status import Status
from grokprobe.store.fault import Fault, Part
from grokprobe.store.group_check import GroupCheck, Tally
from grokprobe.store.ledger import Coordinate, Entry, read_ledger
from grokprobe.store.mending import mend
from grokprobe.store.nodes import Nodes, array_names, num_chunks, published_nodes, read_nodes
from grokprobe.store.places import open_place
from grokprobe.store.removal import REMOVED_DIRECTORY
from grokprobe.store.results import PRIVATE_DIRECTORY, UNFINISHED_MARK, ResultsStore, check_format
from grokprobe.store.writers import acquire_at_once

#: Metadata that are mended may hide chunks that have to be, too.
MOST_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What ``verify`` found."""

    #: The store.
    results: str | Path
    #: Everything that is not as it was written.
    faults: tuple[Fault, ...]
    #: Groups and chunks that were read, and results in them.
    num_groups: int
    num_chunks: int
    num_results: int
    #: Results that are there although the ledger does not list them: the next analysis measures them again.
    num_unlisted: int
    #: Files that a killed process left.
    leftovers: tuple[Path, ...]
    #: Whether the last analysis did not come to its end; the same command again goes on.
    is_unfinished: bool
    #: Whether the faults were mended.
    is_repaired: bool

    @property
    def exit_code(self) -> int:
        """0 if everything is as it was written, 3 if not, also where it was mended."""
        return 3 if self.faults else 0


def verify(path: str | Path, *, repair: bool = False, progress: Progress | None = None) -> Verification:
    """Reads every chunk of a results store through its checksums and compares status and metadata with the ledger.

    Nothing is written unless asked. With ``repair``, results that are not as they were written become missing, in the
    ledger and for readers; the same analysis again then measures them, and them alone.

    Args:
        path: of the store, or its URL; then its working copy on this machine is read, brought up to date before.
        repair: whether to mend what can be mended.
        progress: listener.

    Raises:
        UsageError: there is no results store at ``path``, or a URL is to be mended.
        StoreError: it is being written, or its format is newer.
        StoreWriteError: it cannot be mended, because it cannot be written.
    """
    with open_place(path) as place:
        if repair and place.name != place.path:
            raise UsageError(
                f"--repair: expected a directory, found {path}; its working copy is {place.path}: remove that, and what"
                " is in the object store is fetched again"
            )
        check_format(place.path)
        with holding(place.path, must_hold=repair):
            return _verify(place.path, place.name, progress or SilentProgress(), repair=repair)


@contextlib.contextmanager
def holding(path: Path, *, must_hold: bool) -> Iterator[None]:
    """Keeps others from writing the store at ``path`` meanwhile.

    Args:
        path: of the store.
        must_hold: whether the lock is made where there is none. Where it is not, a copy that cannot be written or that
            nobody has written is read without.

    Raises:
        StoreError: somebody writes it.
    """
    private = path / PRIVATE_DIRECTORY
    lock = FileLock(private / "lock")
    if must_hold:
        with reporting_write_errors(path):
            private.mkdir(exist_ok=True)
            acquire_at_once(lock, path)
    elif (private / "lock").exists():
        with contextlib.suppress(OSError):  # read-only
            acquire_at_once(lock, path)
    try:
        with contextlib.nullcontext() if must_hold else contextlib.suppress(OSError):
            ResultsStore(path).writers.check_company(path, None)
        yield
    finally:
        lock.release()


def _verify(path: Path, name: str | Path, progress: Progress, *, repair: bool) -> Verification:
    is_growing = (path / PRIVATE_DIRECTORY / UNFINISHED_MARK).exists()
    entries = read_ledger(ResultsStore(path).ledger)
    found, tally, num_groups = _check(path, entries, progress, is_growing=is_growing)
    faults = list(found)
    for _ in range(MOST_ROUNDS if repair else 0):
        if not found:
            break
        with reporting_write_errors(path):
            mend(path, found, entries)
        entries = read_ledger(ResultsStore(path).ledger)
        found, tally, num_groups = _check(path, entries, progress, is_growing=is_growing)
        faults += found
    removed = path / PRIVATE_DIRECTORY / REMOVED_DIRECTORY
    return Verification(
        results=name,
        faults=tuple(dict.fromkeys(faults)),
        num_groups=num_groups,
        num_chunks=tally.num_chunks,
        num_results=tally.num_results,
        num_unlisted=tally.num_unlisted,
        leftovers=(*sorted(path.rglob(f"*{PARTIAL_SUFFIX}")), *([removed] if removed.exists() else [])),
        is_unfinished=is_growing,
        is_repaired=repair and bool(faults),
    )


def _check(
    path: Path, entries: Mapping[Coordinate, Entry], progress: Progress, *, is_growing: bool
) -> tuple[list[Fault], Tally, int]:
    nodes, published = read_nodes(path, PRIVATE_DIRECTORY), published_nodes(path)
    faults = list(_check_metadata(nodes, published, is_growing=is_growing))
    recorded = _by_group(entries)
    groups = sorted({node.rpartition("/")[0] for node in nodes if array_names(nodes, node.rpartition("/")[0])})
    faults += [
        Fault(group=group, part=Part.GROUP, reason="the ledger says that it was measured, and it is absent")
        for group in sorted(set(recorded) - set(groups))
        if group not in published
    ]
    tally = Tally()
    progress.start("verifying chunks", sum(num_chunks(node) for node in nodes.values() if node is not None))
    try:
        for group in groups:
            damaged = {fault.variable for fault in faults if fault.group == group and fault.part is not Part.CELL}
            if damaged & {"", *names.LEADING_DIMS, names.STATUS}:
                continue  # nothing can be said about the rest
            check = GroupCheck(
                root=path,
                group=group,
                arrays=[name for name in array_names(nodes, group) if name not in damaged],
                recorded=recorded.get(group, {}),
                is_growing=is_growing,
                on_chunks=functools.partial(progress.advance, note=group),
                tally=tally,
            )
            faults += check.find_faults()
    finally:
        progress.finish()
    return faults, tally, len(groups)


def _check_metadata(nodes: Nodes, published: Nodes, *, is_growing: bool) -> Iterator[Fault]:
    """Compares the metadata with their published copy; while a store grows, they may be ahead of it."""
    for node in sorted({*nodes, *published}):
        own, copy = nodes.get(node), published.get(node)
        outer, _, name = node.rpartition("/")
        reason = ""
        if own is None and copy is None:
            group = outer if array_names(nodes, outer) else node
            yield Fault(group=group, part=Part.GROUP, reason=f"the metadata of {name} cannot be read")
        elif node not in nodes:
            reason = "its metadata are absent"
        elif own is None:
            reason = "its metadata cannot be read"
        elif not is_growing and copy is None:
            reason = "it is not published: readers do not see it"
        elif not is_growing and own != copy:
            reason = "its metadata are not those that are published, which readers see"
        if reason:
            group, variable = (outer, name) if _is_array(own or copy) else (node, "")
            yield Fault(group=group, variable=variable, part=Part.METADATA, reason=reason)


def _is_array(metadata: Mapping[str, object] | None) -> bool:
    return metadata is not None and metadata["node_type"] == "array"


def _by_group(entries: Mapping[Coordinate, Entry]) -> dict[str, dict[tuple[int, float], dict[int, Status]]]:
    groups: dict[str, dict[tuple[int, float], dict[int, Status]]] = {}
    for (group, seed, init_scale, epoch), entry in entries.items():
        if entry.status is not Status.MISSING:
            groups.setdefault(group, {}).setdefault((seed, init_scale), {})[epoch] = entry.status
    return groups
