"""A store that is killed, damaged, mended and tidied is a dictionary still, and never says what is not so."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import zarr
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from grokprobe import names
from grokprobe.errors import DamagedStoreError
from grokprobe.status import Status
from grokprobe.store import (
    Coordinate,
    Entry,
    LedgerWriter,
    ResultsStore,
    compact,
    next_generation,
    open_results,
    read_ledger,
    verify,
)
from unit.store.small_store import BLOCK, GROUP, PARTS, SPECS, build_row, create_cube, write_rows
from write_events import watching_writes

RUNS = st.sampled_from([(0, 1.0), (0, 10.0), (3, 1.0)])
EPOCHS = st.integers(0, 9)
STATUSES = st.sampled_from([Status.OK, Status.OK, Status.OK, Status.FAILED, Status.REFUSED])
ROWS = st.dictionaries(EPOCHS, st.tuples(STATUSES, st.integers(-9, 9)), min_size=1, max_size=5)
ARRAYS = st.sampled_from(["x", "n", "v", "status", "checkpoint_digest"])
Run = tuple[int, float]
#: Run and position of its block.
Cell = tuple[int, float, int]
Result = tuple[Status, int]
MISSING = Entry(status=Status.MISSING, inputs="")


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is written."""


class MendedStore(RuleBasedStateMachine):
    """The model is what the ledger has to say; the number of a result stands in the digest of its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "r"
        self.model: dict[Coordinate, Entry] = {}
        #: Cell → names of its arrays that are not as they were written.
        self.damaged: dict[Cell, set[str]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @initialize()
    def create(self) -> None:
        with ResultsStore.open(self.path) as store:
            create_cube(store).create_variables(SPECS, PARTS)
            store.publish()

    @rule(run=RUNS, rows=ROWS)
    def write(self, run: Run, rows: dict[int, Result]) -> None:
        """Writes results that are new, again, or failures."""
        grow(self.path, run, rows)
        for cell in sorted(self.cells(run, rows)):
            of_cell = {epoch: rows[epoch] for epoch in rows if self.cells(run, (epoch,)) == {cell}}
            try:
                measure(self.path, run, of_cell)
            except DamagedStoreError:
                assert self.damaged.get(cell)
                self.take_over(run, of_cell)
                continue
            kept = self.listed(cell) - set(of_cell)
            self.take_over(run, of_cell)
            for epoch, result in of_cell.items():
                assert self.model[Coordinate(GROUP, *run, epoch)] == as_entry(result)
            self.forget_damage(cell, kept, has_numbers=any(status is Status.OK for status, _ in of_cell.values()))

    @rule(run=RUNS, rows=ROWS, number=st.integers(1, 60))
    def kill(self, run: Run, rows: dict[int, Result], number: int) -> None:
        """Does the same and is killed at one of its writes, unless it has ended before."""
        if any(cell[:2] == run for cell in self.damaged):
            return  # how much of the damage would be written over is not followed here
        count = 0

        def on_event(_kind: str, _file: str) -> None:
            nonlocal count
            count += 1
            if count >= number:
                raise Killed

        with contextlib.suppress(Killed), watching_writes(self.path, on_event):
            grow(self.path, run, rows)
            measure(self.path, run, rows)
        before = dict(self.model)
        self.take_over(run, rows)
        for epoch, result in rows.items():
            coordinate = Coordinate(GROUP, *run, epoch)
            assert self.model[coordinate] in (before.get(coordinate), as_entry(result), MISSING)

    @rule(epochs=st.lists(EPOCHS, max_size=3), seed=st.integers(0, 4))
    def grow_more(self, epochs: list[int], seed: int) -> None:
        with ResultsStore.open(self.path) as store:
            create_cube(store).grow({"seed": [seed], "init_scale": [], "epoch": epochs})
            store.publish()

    @rule()
    def reopen(self) -> None:
        with ResultsStore.open(self.path) as store:
            store.publish()

    @rule()
    def compact(self) -> None:
        compact(self.path)
        assert len(list((self.path / ".grokprobe" / "ledger").glob("*"))) <= 1
        assert not list(self.path.rglob("*.partial"))

    @precondition(lambda self: self.results())
    @rule(
        place=st.integers(0, 99),
        name=ARRAYS,
        how=st.sampled_from(["flip", "truncate", "delete"]),
        bit=st.integers(0, 9999),
    )
    def corrupt(self, place: int, name: str, how: str, bit: int) -> None:
        """Damages one chunk that holds results."""
        results = sorted(self.results())
        cell = results[place % len(results)]
        cube = ResultsStore(self.path).cube(GROUP, block=BLOCK)
        place_of_run = cube.positions("seed")[cell[0]], cube.positions("init_scale")[cell[1]]
        file = self.path / GROUP / name / "c" / "/".join(map(str, (*place_of_run, cell[2])))
        file = file / "0" if name == "v" else file
        if name in self.damaged.get(cell, {}):
            return  # the same bit flipped twice is no damage
        content = bytearray(file.read_bytes())
        file.unlink()
        if how != "delete":
            content[bit // 8 % len(content)] ^= 1 << bit % 8
            file.write_bytes(content if how == "flip" else content[: bit % len(content)])
        self.damaged.setdefault(cell, set()).add(name)

    @rule(repair=st.booleans())
    def verify(self, repair: bool) -> None:
        """Finds exactly the cells that are damaged; what is mended is missing from then on."""
        found = verify(self.path, repair=repair)
        cells = {cell for fault in found.faults for cell in self.cells((fault.seed, fault.init_scale), fault.epochs)}
        assert cells == set(self.damaged)
        if repair:
            for fault in found.faults:
                for epoch in fault.epochs:
                    self.model[Coordinate(GROUP, fault.seed, fault.init_scale, epoch)] = MISSING
            self.damaged.clear()
            assert verify(self.path).faults == ()

    @invariant()
    def the_ledger_is_the_model(self) -> None:
        found = {c: entry for c, entry in read_ledger(self.path / ".grokprobe" / "ledger").items() if entry != MISSING}
        assert found == {c: entry for c, entry in self.model.items() if entry != MISSING}

    @invariant()
    def what_the_ledger_says_is_so(self) -> None:
        """Published or not."""
        listed = {c: entry for c, entry in self.model.items() if entry != MISSING}
        if self.damaged or not listed:
            return
        cube = ResultsStore(self.path).cube(GROUP, block=BLOCK)
        arrays = {
            name: zarr.open_array(self.path, path=f"{GROUP}/{name}", mode="r")[:] for name in ("x", "v", "status")
        }
        for coordinate, entry in listed.items():
            at = tuple(
                cube.positions(dim)[value] for dim, value in zip(names.LEADING_DIMS, coordinate[1:], strict=True)
            )
            number = float(entry.inputs) if entry.status is Status.OK else float("nan")
            assert arrays["status"][at] == entry.status
            np.testing.assert_equal(arrays["x"][at], number)
            np.testing.assert_equal(arrays["v"][at], np.float32([number, -number]))

    @invariant()
    def readers_can_open_it(self) -> None:
        """Whatever they see as measured is a number that was written, unless a damaged chunk says so itself."""
        group = open_results(self.path)[GROUP]
        if not self.damaged:
            dataset = group.to_dataset().load()
            assert np.isfinite(dataset.x.to_numpy()[dataset.status.to_numpy() == Status.OK]).all()

    def take_over(self, run: Run, rows: Iterable[int]) -> None:
        """Takes over what the ledger says about these results, and about no others."""
        entries = read_ledger(self.path / ".grokprobe" / "ledger")
        for epoch in rows:
            coordinate = Coordinate(GROUP, *run, epoch)
            self.model[coordinate] = entries.get(coordinate, MISSING)

    def forget_damage(self, cell: Cell, kept: set[int], *, has_numbers: bool) -> None:
        """What was written over is damaged no more; where results were kept, some of it shows still."""
        kept_numbers = [epoch for epoch in kept if self.model[Coordinate(GROUP, *cell[:2], epoch)].status is Status.OK]
        remaining = self.damaged.pop(cell, set())
        if not kept or ("status" not in remaining and (has_numbers or not kept_numbers)):
            return  # a chunk that is absent holds nothing for results that failed
        if remaining:
            self.damaged[cell] = {"status"} if "status" in remaining else remaining

    def cells(self, run: Run, epochs: Iterable[int]) -> set[Cell]:
        positions = ResultsStore(self.path).cube(GROUP, block=BLOCK).positions("epoch")
        return {(*run, positions[epoch] // BLOCK) for epoch in epochs if epoch in positions}

    def listed(self, cell: Cell) -> set[int]:
        """Returns the epochs of a cell that the ledger lists."""
        epochs = [c.epoch for c, entry in self.model.items() if c[1:3] == cell[:2] and entry != MISSING]
        return {epoch for epoch in epochs if self.cells(cell[:2], (epoch,)) == {cell}}

    def results(self) -> set[Cell]:
        """Returns the cells that hold at least one number."""
        ok = [c for c, entry in self.model.items() if entry.status is Status.OK]
        return set().union(*(self.cells((c.seed, c.init_scale), (c.epoch,)) for c in ok))


def as_entry(result: Result) -> Entry:
    status, number = result
    return Entry(status=status, inputs=str(number), error="" if status is Status.OK else "no")


def grow(path: Path, run: Run, rows: Iterable[int]) -> None:
    with ResultsStore.open(path) as store:
        create_cube(store).grow({"seed": run[:1], "init_scale": run[1:], "epoch": sorted(rows)})


def measure(path: Path, run: Run, rows: Mapping[int, Result]) -> None:
    """Writes as an analysis does: the ledger says what is about to go, then the data, then what is there."""
    with ResultsStore.open(path) as store:
        entries = {
            c.epoch: entry for c, entry in read_ledger(store.ledger).items() if c[1:3] == run and entry != MISSING
        }
        ledger, cube = LedgerWriter(store.ledger, next_generation(store.ledger)), create_cube(store)
        for epochs in cube.blocks(list(rows)).values():
            replaced = set(epochs) & set(entries)
            ledger.append({Coordinate(GROUP, *run, epoch): MISSING for epoch in replaced})
            cell = {epoch: build_row(rows[epoch][1], rows[epoch][0]) for epoch in epochs}
            write_rows(cube, run, cell, kept=set(entries) - replaced)
            ledger.append({Coordinate(GROUP, *run, epoch): as_entry(rows[epoch]) for epoch in epochs})
        store.publish()


TestMendedStore = MendedStore.TestCase
TestMendedStore.settings = settings(
    max_examples=10, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
)
