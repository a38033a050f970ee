"""Every chunk of one run of a group read through its checksums, and its status compared with the ledger."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import zarr

from grokprobe import names
from grokprobe.status import Status
from grokprobe.store.arrays import DECODING_ERRORS, chunk_file
from grokprobe.store.fault import Fault
from grokprobe.store.ledger import WHOLE_RUN

#: Stands for a status that cannot be decoded.
UNKNOWN: Final = -1
#: (seed, init_scale) → epoch → what the ledger says, where it says that something was done.
Recorded = Mapping[tuple[int, float], Mapping[int, Status]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupContent:
    """The arrays of a group that have its leading dimensions."""

    #: The store.
    root: Path
    #: Path of the group.
    group: str
    #: By name, ``status`` first.
    arrays: Mapping[str, zarr.Array]
    #: Epoch by position; None in a group without epochs.
    epochs: Mapping[int, int] | None

    @property
    def block(self) -> int:
        """Epochs per chunk."""
        return 1 if self.epochs is None else self.arrays[names.STATUS].chunks[2]

    @property
    def num_epochs(self) -> int:
        """Length of a run; 1 without epochs. While a group grows, that of the shortest array."""
        return 1 if self.epochs is None else min(array.shape[2] for array in self.arrays.values())

    def chunk(self, name: str, place: tuple[int, int], start: int) -> Path:
        """Returns the file that holds a variable of the run at ``place``, from position ``start`` on."""
        place_of_chunk = place if self.epochs is None else (*place, start // self.block)
        return chunk_file(self.root, self.arrays[name], place_of_chunk)


class RunCheck:
    """Finds what is wrong in one run of a group."""

    def __init__(
        self, content: GroupContent, place: tuple[int, int], run: tuple[int, float], recorded: Mapping[int, Status]
    ) -> None:
        """Binds the check; touches no file.

        Args:
            content: of the group.
            place: of the run along the first two dimensions.
            run: its seed and init_scale.
            recorded: what the ledger says about it.
        """
        #: Chunks that were read.
        self.num_chunks = 0
        #: Results that are there.
        self.num_results = 0
        #: Those of them that the ledger does not list.
        self.num_unlisted = 0
        self._content, self._place, self._run, self._recorded = content, place, run, recorded
        self._status = np.full(content.num_epochs, UNKNOWN)
        epochs = content.epochs or {}
        said = [recorded.get(epochs[position]) if position in epochs else None for position in range(len(self._status))]
        self._said: list[Status | None] = said

    def find_faults(self) -> Iterator[Fault]:
        """Yields what is wrong."""
        for name in self._content.arrays:
            yield from self._check_variable(name)
        yield from self._check_ledger()
        is_ok = self._status == int(Status.OK)
        self.num_results = int(is_ok.sum())
        if self._content.epochs is not None and WHOLE_RUN not in self._recorded:
            self.num_unlisted = sum(said is None for said, is_there in zip(self._said, is_ok, strict=True) if is_there)

    def _check_variable(self, name: str) -> Iterator[Fault]:
        undecoded = self._decode(name)
        for start in range(0, self._content.num_epochs, self._content.block):
            span = range(start, min(start + self._content.block, self._content.num_epochs))
            is_there = self._content.chunk(name, self._place, start).exists()
            self.num_chunks += is_there
            if start in undecoded:
                touched = [position for position in span if self._is_touched(position)]
                yield self._fault(name, touched or span, undecoded[start])
            elif not is_there and name != names.STATUS:  # a status that is absent is compared with the ledger
                done = [position for position in span if Status.OK in (self._said[position], self._status[position])]
                if done:
                    yield self._fault(name, done, "its chunk is absent")

    def _decode(self, name: str) -> dict[int, str]:
        """Returns the first position of each chunk that cannot be decoded, and why; takes note of the status."""
        array, reasons = self._content.arrays[name], {}
        size = self._content.num_epochs
        steps = [size, self._content.block]  # the whole run at once, which is faster; then chunk by chunk
        for step in steps if size else []:
            reasons = {}
            for start in range(0, size, step):
                span = slice(start, min(start + step, size))
                try:
                    values = array[self._place if self._content.epochs is None else (*self._place, span)]
                except (*DECODING_ERRORS, OSError) as error:
                    reasons[start] = undecodable(error)
                else:
                    if name == names.STATUS:
                        self._status[span] = np.asarray(values)
            if not reasons:
                break
        return reasons

    def _check_ledger(self) -> Iterator[Fault]:
        """Compares the status of every epoch with what the ledger says."""
        if self._recorded.get(WHOLE_RUN) is Status.OK and not np.isin(self._status, [Status.OK, UNKNOWN]).any():
            yield self._fault(names.STATUS, [], "the ledger says that it was written, and the store holds nothing")
        contradictions: dict[tuple[int, Status, int], list[int]] = {}
        for position, said in enumerate(self._said):
            found = int(self._status[position])
            if said is not None and found not in (said, UNKNOWN):
                contradictions.setdefault((position // self._content.block, said, found), []).append(position)
        for (_, said, found), positions in contradictions.items():
            reason = f"the ledger says {said.name.lower()}, the store says {Status(found).name.lower()}"
            yield self._fault(names.STATUS, positions, reason)

    def _is_touched(self, position: int) -> bool:
        return self._said[position] is not None or self._status[position] > Status.MISSING

    def _fault(self, variable: str, positions: Sequence[int], reason: str) -> Fault:
        epochs = self._content.epochs or {}
        return Fault(
            group=self._content.group,
            variable=variable,
            seed=self._run[0],
            init_scale=self._run[1],
            epochs=tuple(sorted(epochs[position] for position in positions if position in epochs)),
            reason=reason,
        )


def undecodable(error: BaseException) -> str:
    """Returns how a chunk that cannot be decoded is reported."""
    first_sentence = " ".join(str(error).split()).partition(". ")[0]
    return f"its chunk cannot be decoded: {first_sentence}"
