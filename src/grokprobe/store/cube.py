"""One group of the store: arrays over ``(seed, init_scale, epoch, …)`` that grow and are written a work cell at a time.

A work cell is one run and one aligned block of epochs; it is exactly one chunk of every array, so a writer writes whole
chunks only and no two writers share a file. Positions along a dimension are given out once and never move: new
coordinate values are appended, readers sort.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.dtypes import StringDType

from grokprobe import names
from grokprobe.errors import StoreError
from grokprobe.status import Status
from grokprobe.store.arrays import (
    ArrayLayout,
    as_storable,
    chunk_file,
    create_array,
    damaged,
    dimensions,
    open_array,
    read_array,
)
from grokprobe.store.coordinates import UNASSIGNED, label_layout, leading_layout, step_layout
from grokprobe.store.row import Row
from grokprobe.variables import Coordinate, VariableSpec

STATUS_ATTRIBUTES: Final = {
    "description": "what happened at this coordinate; values of other variables count only where it is ok",
    "flag_values": [int(status) for status in Status],
    "flag_meanings": " ".join(status.name.lower() for status in Status),
}


class Cube:
    """A zarr group whose arrays share the leading dimensions."""

    def __init__(self, root: Path, path: str, *, leading: tuple[str, ...] = names.LEADING_DIMS, block: int) -> None:
        """Binds the group ``path`` of the store at ``root``; touches no file.

        Args:
            root: the store.
            path: the group.
            leading: leading dimensions in stored order.
            block: epochs per chunk.
        """
        self.path = path
        self._root = root
        self._leading = leading
        self._block = block
        self._arrays: dict[str, zarr.Array] = {}
        self._positions: dict[str, dict[Any, int]] = {}
        self._labels: dict[str, np.ndarray] = {}

    @property
    def exists(self) -> bool:
        """Whether the group is in the store, published or not."""
        return (self._root / self.path / "zarr.json").exists()

    def create(self, attributes: Mapping[str, Any], epoch_units: str) -> None:
        """Creates the group with its leading coordinates, empty; one that exists gets the attributes alone.

        Args:
            attributes: of the group.
            epoch_units: ``epochs`` or ``steps``; unused without epochs.
        """
        if not self.exists:
            zarr.create_group(self._root, path=self.path, attributes=dict(attributes))
        elif self.attributes != dict(attributes):  # what is written from now on is written under these
            zarr.open_group(self._root, path=self.path, mode="r+").attrs.put(dict(attributes))
        for dim in self._leading:
            self._create(dim, leading_layout(dim, epoch_units))
        self._create(names.STATUS, self._leading_layout(("uint8", int(Status.MISSING), STATUS_ATTRIBUTES)))
        if names.EPOCH in self._leading:
            notes = {"description": "SHA-256 of the checkpoint's file"}
            self._create(names.CHECKPOINT_DIGEST, self._leading_layout(("string", "", notes)))

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the group."""
        return dict(zarr.open_group(self._root, path=self.path, mode="r").attrs)

    def positions(self, dim: str) -> dict[Any, int]:
        """Returns the position of every value along a leading dimension."""
        if dim not in self._positions:
            values = read_array(self._root, self._array(dim))
            assigned = ~np.isnan(values) if values.dtype.kind == "f" else values != UNASSIGNED
            self._positions[dim] = {value: i for i, value in enumerate(values.tolist()) if assigned[i]}
        return self._positions[dim]

    def grow(self, coordinates: Mapping[str, Sequence[Any]]) -> None:
        """Appends the values that are new, as ordered, and resizes every array to fit. Can be repeated after a kill."""
        for dim in self._leading:
            known = self.positions(dim)
            wanted = list(dict.fromkeys([*known, *coordinates.get(dim, ())]))
            array = self._array(dim)
            if len(wanted) != array.shape[0]:
                array.resize((len(wanted),))
            if len(wanted) != len(known):
                array[:] = np.array(wanted, dtype=array.dtype)
                del self._positions[dim]
        lengths: dict[str | None, int] = {dim: len(self.positions(dim)) for dim in self._leading}
        for name in self._member_names():
            array = self._array(name)
            shape = tuple(lengths.get(dim, size) for dim, size in zip(dimensions(array), array.shape, strict=True))
            if array.shape != shape:
                array.resize(shape)

    def write_steps(self, steps: Mapping[int, int]) -> None:
        """Writes the coordinate ``step(epoch)``: optimizer steps by epoch; -1 where they are not known."""
        positions = self.positions(names.EPOCH)
        self._create(names.STEP, step_layout(len(positions)))
        array = self._array(names.STEP)
        if array.shape != (len(positions),):
            array.resize((len(positions),))
        values = read_array(self._root, array)
        for epoch, step in steps.items():
            values[positions[epoch]] = step
        array[:] = values

    def create_variables(self, specs: Sequence[VariableSpec], coordinates: Mapping[str, Coordinate]) -> None:
        """Creates the measure's own coordinates and variables, unless they exist."""
        sizes = {coordinate.dim: len(coordinate.values) for coordinate in coordinates.values()}
        for name, coordinate in coordinates.items():
            self._create(name, label_layout(coordinate))
            self._array(name)[:] = as_storable(coordinate.values)
        for spec in specs:
            labels = sorted(name for name, other in coordinates.items() if other.dim in spec.dims and name != other.dim)
            labels += [names.STEP] if names.STEP in self._member_names() else []
            notes = {**spec.attributes(), "coordinates": " ".join(labels)}  # CF: labels that are no index
            extra = {dim: sizes[dim] for dim in spec.dims}
            fill = 0 if spec.dtype == "int64" else np.nan
            self._create(spec.name, self._leading_layout((spec.dtype, fill, notes), extra))

    def has_variables(self, specs: Sequence[VariableSpec]) -> bool:
        """Whether every variable of ``specs`` is there."""
        return {spec.name for spec in specs} <= set(self._member_names())

    def check_coordinates(self, coordinates: Mapping[str, Coordinate]) -> None:
        """Raises unless ``coordinates`` are those the variables were created with.

        Raises:
            StoreError: they differ.
        """
        for name, coordinate in coordinates.items():
            if name not in self._labels:
                self._labels[name] = read_array(self._root, self._array(name))
            stored, found = self._labels[name], as_storable(coordinate.values)
            if stored.shape != found.shape or not np.array_equal(stored, found):
                raise StoreError(
                    f"{self.path}: coordinate {name!r} of this checkpoint differs from the store's"
                    f" ({len(found)} labels here, {len(stored)} there); is it another network?"
                )

    def blocks(self, epochs: Sequence[int]) -> dict[int, list[int]]:
        """Returns the epochs of each work cell, in stored order."""
        positions = self.positions(names.EPOCH)
        cells: dict[int, list[int]] = {}
        for epoch in sorted(epochs, key=positions.__getitem__):
            cells.setdefault(positions[epoch] // self._block, []).append(epoch)
        return cells

    def write(self, run: tuple[int, float], rows: Mapping[int, Row], kept: frozenset[int]) -> None:
        """Writes the rows of one run that lie in one work cell.

        Epochs of the cell that are in neither ``rows`` nor ``kept`` become missing. ``status`` is written last.

        Raises:
            DamagedStoreError: results that are kept cannot be read.
        """
        where, cell = self._cell_of(run, rows)
        measured = sorted({name for row in rows.values() for name in row.values})
        absent = self._find_absent(where, cell, kept.difference(rows))
        if lost := sorted(absent.intersection([*measured, names.CHECKPOINT_DIGEST])):
            raise damaged(self._root, f"{self.path}/{lost[0]}", "its chunk is absent")
        for name in [*measured, *sorted({*self._variable_names()}.difference(measured, absent))]:
            self._write_cell(
                name, where, cell, {e: row.values[name] for e, row in rows.items() if name in row.values}, kept
            )
        digests = {epoch: np.array(row.checkpoint_digest, StringDType()) for epoch, row in rows.items()}
        self._write_cell(names.CHECKPOINT_DIGEST, where, cell, digests, kept)
        self._write_cell(names.STATUS, where, cell, {e: np.uint8(row.status) for e, row in rows.items()}, kept)

    def write_derived(self, run: tuple[int, float], values: Mapping[str, Mapping[int, Any]]) -> None:
        """Writes variables that follow from others along one run, by name and epoch; touches no status.

        In every work cell that holds one of the epochs, the values of all other epochs are forgotten.
        """
        for name, by_epoch in values.items():
            for epochs in self.blocks(list(by_epoch)).values():
                where, cell = self._cell_of(run, epochs)
                self._write_cell(name, where, cell, {epoch: by_epoch[epoch] for epoch in epochs}, frozenset())

    def write_run(self, run: tuple[int, float], values: Mapping[str, np.ndarray]) -> None:
        """Writes one value per variable for a whole run, in a group without epochs. ``status`` is written last.

        Variables without a value keep what they have; where they have nothing yet, that is written down.
        """
        where = (self.positions(names.SEED)[run[0]], self.positions(names.INIT_SCALE)[run[1]])
        for name, value in values.items():
            self._array(name)[where] = value
        for name in sorted(set(self._variable_names()) - set(values)):
            array = self._array(name)
            if not chunk_file(self._root, array, where).exists():
                array[where] = np.asarray(array.metadata.fill_value)
        self._array(names.STATUS)[where] = int(Status.OK)

    def _cell_of(self, run: tuple[int, float], epochs: Iterable[int]) -> tuple[tuple[int, int, slice], dict[int, int]]:
        """Returns where the one work cell of these epochs lies, and the epoch at each of its places."""
        positions = self.positions(names.EPOCH)
        (start,) = {positions[epoch] // self._block * self._block for epoch in epochs}
        cell = {
            position - start: epoch for epoch, position in positions.items() if start <= position < start + self._block
        }
        run_place = self.positions(names.SEED)[run[0]], self.positions(names.INIT_SCALE)[run[1]]
        return (*run_place, slice(start, start + len(cell))), cell

    def _write_cell(
        self,
        name: str,
        where: tuple[int, int, slice],
        cell: Mapping[int, int],
        values: Mapping[int, Any],
        kept: frozenset[int],
    ) -> None:
        array = self._array(name)
        if any(epoch in kept and epoch not in values for epoch in cell.values()):
            content = read_array(self._root, array, where)
        else:  # not even read: it may be damaged, and this is what mends it
            content = np.full((len(cell), *array.shape[3:]), array.metadata.fill_value, array.dtype)
        for position, epoch in cell.items():
            if epoch in values:
                content[position] = values[epoch]
            elif epoch not in kept:
                content[position] = array.metadata.fill_value
        array[where] = content

    def _find_absent(self, where: tuple[int, int, slice], cell: Mapping[int, int], kept: frozenset[int]) -> set[str]:
        """Returns the arrays without a chunk where results are kept: to write one would hide that something is lost.

        What is derived along a run may not be there yet, which is no loss.
        """
        positions = [position for position, epoch in cell.items() if epoch in kept]
        if not positions or not np.any(self._read_status(where)[positions] == int(Status.OK)):
            return set()
        place = (*where[:2], where[2].start // self._block)
        arrays = {name: self._array(name) for name in [*self._variable_names(), names.CHECKPOINT_DIGEST]}
        return {name for name, array in arrays.items() if not chunk_file(self._root, array, place).exists()}

    def _read_status(self, where: tuple[int, int, slice]) -> np.ndarray:
        return read_array(self._root, self._array(names.STATUS), where)

    def _variable_names(self) -> list[str]:
        own = {*self._leading, names.STATUS, names.CHECKPOINT_DIGEST}  # `step` has another first dimension
        return [
            name
            for name in self._member_names()
            if name not in own and dimensions(self._array(name))[:1] == self._leading[:1]
        ]

    def _member_names(self) -> list[str]:
        directory = self._root / self.path
        return sorted(entry.name for entry in directory.iterdir() if (entry / "zarr.json").exists())

    def _array(self, name: str) -> zarr.Array:
        if name not in self._arrays:
            self._arrays[name] = open_array(self._root, f"{self.path}/{name}")
        return self._arrays[name]

    def _create(self, name: str, layout: ArrayLayout) -> None:
        create_array(self._root, f"{self.path}/{name}", layout)

    def _leading_layout(
        self, content: tuple[str, Any, Mapping[str, Any]], extra: Mapping[str, int] | None = None
    ) -> ArrayLayout:
        dtype, fill, attributes = content
        extra = extra or {}
        chunks = tuple(self._block if dim == names.EPOCH else 1 for dim in self._leading)
        return ArrayLayout(
            shape=(*(len(self.positions(dim)) for dim in self._leading), *extra.values()),
            chunks=(*chunks, *(max(1, length) for length in extra.values())),
            dims=(*self._leading, *extra),
            dtype=dtype,
            fill=fill,
            attributes=attributes,
        )
