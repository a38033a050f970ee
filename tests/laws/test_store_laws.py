"""A store that grows in any order is a dictionary."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from grokprobe.status import Status
from grokprobe.store import ResultsStore
from unit.store.small_store import BLOCK, GROUP, PARTS, SPECS, build_row, create_cube, read, write_rows

SEEDS = st.integers(0, 3)
SCALES = st.sampled_from([0.1, 1.0, 10.0])
EPOCHS = st.integers(0, 40)
NUMBERS = st.one_of(st.just(float("nan")), st.integers(-99, 99).map(float))
STATUSES = st.sampled_from([Status.OK, Status.OK, Status.OK, Status.FAILED, Status.REFUSED])


class GrowingStore(RuleBasedStateMachine):
    """Grows by any coordinates and writes any cells; the model is a dictionary by (seed, init_scale, epoch)."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "r"
        self.model: dict[tuple[int, float], dict[int, tuple[Status, float]]] = {}
        self.order: dict[str, list[float]] = {"seed": [], "init_scale": [], "epoch": []}
        with ResultsStore.open(self.path) as store:
            create_cube(store).create_variables(SPECS, PARTS)
            store.publish()

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @rule(
        seed=SEEDS,
        scale=SCALES,
        rows=st.dictionaries(EPOCHS, st.tuples(STATUSES, NUMBERS), min_size=1, max_size=6),
    )
    def write(self, seed: int, scale: float, rows: dict[int, tuple[Status, float]]) -> None:
        run = (seed, scale)
        known = self.model.setdefault(run, {})
        with ResultsStore.open(self.path) as store:
            cube = create_cube(store)
            cube.grow({"seed": [seed], "init_scale": [scale], "epoch": sorted(rows)})
            built = {epoch: build_row(number, status) for epoch, (status, number) in rows.items()}
            write_rows(cube, run, built, kept=[*known, *rows])
            store.publish()
        known.update(rows)
        self.remember({"seed": [seed], "init_scale": [scale], "epoch": sorted(rows)})

    @rule(seeds=st.lists(SEEDS, max_size=2), epochs=st.lists(EPOCHS, max_size=4))
    def grow(self, seeds: list[int], epochs: list[int]) -> None:
        with ResultsStore.open(self.path) as store:
            create_cube(store).grow({"seed": seeds, "init_scale": [], "epoch": epochs})
            store.publish()
        self.remember({"seed": seeds, "init_scale": [], "epoch": epochs})

    @rule(seed=SEEDS, scale=SCALES, position=st.integers(0, 60))
    def forget_one(self, seed: int, scale: float, position: int) -> None:
        """Writes one row again and keeps every other but one of its cell."""
        known = self.model.get((seed, scale), {})
        if not known:
            return
        epoch = sorted(known)[position % len(known)]
        store = ResultsStore(self.path)
        cube = store.cube(GROUP, block=BLOCK)
        cells = cube.blocks(list(known))
        (cell,) = [epochs for epochs in cells.values() if epoch in epochs]
        dropped = cell[position % len(cell)]
        write_rows(cube, (seed, scale), {epoch: build_row(5.0)}, kept=set(known) - {dropped})
        known.pop(dropped)
        known[epoch] = (Status.OK, 5.0)

    def remember(self, coordinates: dict[str, list[float]]) -> None:
        for dim, values in coordinates.items():
            self.order[dim] = list(dict.fromkeys([*self.order[dim], *values]))

    @invariant()
    def positions_follow_arrival(self) -> None:
        cube = ResultsStore(self.path).cube(GROUP, block=BLOCK)
        for dim, values in self.order.items():
            assert cube.positions(dim) == {value: position for position, value in enumerate(values)}

    @invariant()
    def reads_like_the_dictionary(self) -> None:
        dataset = read(self.path)
        for dim, values in self.order.items():
            assert dataset[dim].to_numpy().tolist() == sorted(values)
        for i, seed in enumerate(dataset.seed.to_numpy().tolist()):
            for j, scale in enumerate(dataset.init_scale.to_numpy().tolist()):
                for k, epoch in enumerate(dataset.epoch.to_numpy().tolist()):
                    status, number = self.model.get((seed, scale), {}).get(epoch, (Status.MISSING, float("nan")))
                    expected = number if status is Status.OK else float("nan")
                    assert dataset.status.to_numpy()[i, j, k] == status
                    np.testing.assert_equal(dataset.x.to_numpy()[i, j, k], expected)
                    np.testing.assert_equal(dataset.v.to_numpy()[i, j, k], np.float32([expected, -expected]))
                    assert dataset.n.to_numpy()[i, j, k] == (7 if status is Status.OK else 0)


TestGrowingStore = GrowingStore.TestCase
TestGrowingStore.settings = settings(
    max_examples=6, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck)
)
