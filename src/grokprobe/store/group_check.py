"""Every chunk of one group read through its checksums."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from grokprobe import names
from grokprobe.errors import DamagedStoreError
from grokprobe.store.arrays import DECODING_ERRORS, chunk_file, dimensions
from grokprobe.store.cube import Cube
from grokprobe.store.fault import Fault, Part
from grokprobe.store.ledger import WHOLE_RUN
from grokprobe.store.run_check import GroupContent, Recorded, RunCheck, undecodable


@dataclass(slots=True)
class Tally:
    """What was read."""

    #: Chunks.
    num_chunks: int = 0
    #: Results that are there.
    num_results: int = 0
    #: Those of them that the ledger does not list.
    num_unlisted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCheck:
    """Finds what is wrong in one group."""

    #: The store.
    root: Path
    #: Path of the group.
    group: str
    #: Names of its arrays.
    arrays: Sequence[str]
    #: What the ledger says about it.
    recorded: Recorded
    #: A process was killed while it wrote the store: coordinates may lack values, arrays may differ in length.
    is_growing: bool
    #: Called with the number of chunks read since the last time.
    on_chunks: Callable[[int], None]
    #: Filled while faults are sought.
    tally: Tally = field(default_factory=Tally)

    def find_faults(self) -> Iterator[Fault]:
        """Yields what is wrong; of a group whose coordinates cannot be had, nothing but that."""
        leading = names.LEADING_DIMS if names.EPOCH in self.arrays else names.SUMMARY_DIMS
        absent = {*leading, names.STATUS}.difference(self.arrays)
        if absent and self.is_growing and not self.recorded:
            return  # it is being created
        if absent:
            yield from (self._of_group(name, "it is absent") for name in sorted(absent))
            return
        arrays = {name: zarr.open_array(self.root, path=f"{self.group}/{name}", mode="r") for name in self.arrays}
        cells = [name for name, array in arrays.items() if dimensions(array)[: len(leading)] == leading]
        faults: list[Fault] = []
        for name in sorted(set(arrays) - set(cells) - set(leading)):
            faults += self._check_coordinate(arrays[name], name)
        values, of_leading = self._read_leading(arrays, leading)
        faults += [*of_leading, *(self._check_lengths(arrays, leading, cells) if not of_leading else [])]
        yield from faults
        if any(fault.part is Part.GROUP for fault in faults):
            return
        yield from self._check_unknown(values)
        content = GroupContent(
            root=self.root,
            group=self.group,
            arrays={name: arrays[name] for name in [names.STATUS, *cells]},
            epochs=values.get(names.EPOCH),
        )
        num_seeds, num_scales = (min(array.shape[axis] for array in content.arrays.values()) for axis in (0, 1))
        for row, seed in list(values[names.SEED].items())[:num_seeds]:
            for column, init_scale in list(values[names.INIT_SCALE].items())[:num_scales]:
                run = RunCheck(content, (row, column), (seed, init_scale), self.recorded.get((seed, init_scale), {}))
                yield from run.find_faults()
                self.tally.num_chunks += run.num_chunks
                self.on_chunks(len(content.arrays) * -(-content.num_epochs // content.block))
                self.tally.num_results += run.num_results
                self.tally.num_unlisted += run.num_unlisted

    def _count_one(self) -> None:
        self.tally.num_chunks += 1
        self.on_chunks(1)

    def _check_coordinate(self, array: zarr.Array, name: str) -> list[Fault]:
        self._count_one()
        try:
            np.asarray(array[:])
        except DECODING_ERRORS as error:
            return [self._of_group(name, undecodable(error))]
        if array.shape[0] and not chunk_file(self.root, array, (0,)).exists() and not self.is_growing:
            return [self._of_group(name, "its chunk is absent")]
        return []

    def _read_leading(
        self, arrays: Mapping[str, zarr.Array], leading: tuple[str, ...]
    ) -> tuple[dict[str, dict[int, Any]], list[Fault]]:
        """Returns the values of the leading coordinates by position, and what is wrong with them."""
        values: dict[str, dict[int, Any]] = {}
        faults = []
        cube = Cube(self.root, self.group, leading=leading, block=1)
        for dim in leading:
            self._count_one()
            try:
                values[dim] = {position: value for value, position in cube.positions(dim).items()}
            except DamagedStoreError as error:
                faults.append(self._of_group(dim, undecodable(error.__cause__ or error)))
                continue
            if len(values[dim]) < arrays[dim].shape[0] and not self.is_growing:
                faults.append(self._of_group(dim, f"{arrays[dim].shape[0] - len(values[dim])} values are absent"))
        return values, faults

    def _check_lengths(
        self, arrays: Mapping[str, zarr.Array], leading: tuple[str, ...], cells: Sequence[str]
    ) -> list[Fault]:
        lengths = tuple(arrays[dim].shape[0] for dim in leading)
        return [
            self._of_group(name, f"expected the lengths {lengths} along {', '.join(leading)}, found {found}")
            for name in cells
            if (found := arrays[name].shape[: len(leading)]) != lengths and not self.is_growing
        ]

    def _check_unknown(self, values: Mapping[str, Mapping[int, Any]]) -> Iterator[Fault]:
        """Yields results that the ledger says are there, at coordinates that are not."""
        seeds, scales = set(values[names.SEED].values()), set(values[names.INIT_SCALE].values())
        epochs = {WHOLE_RUN, *values.get(names.EPOCH, {}).values()}
        for (seed, init_scale), entries in self.recorded.items():
            unknown = set(entries) if seed not in seeds or init_scale not in scales else set(entries) - epochs
            if unknown:
                yield Fault(
                    group=self.group,
                    seed=seed,
                    init_scale=init_scale,
                    epochs=tuple(sorted(unknown - {WHOLE_RUN})),
                    reason="the ledger says that it was measured, and the coordinates lack it",
                )

    def _of_group(self, name: str, reason: str) -> Fault:
        return Fault(group=self.group, variable=name, part=Part.GROUP, reason=reason)
