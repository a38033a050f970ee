"""A store with one group, small enough to see every number of."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from grokprobe.status import Status
from grokprobe.store import Cube, ResultsStore, Row, open_results
from grokprobe.variables import Coordinate, VariableSpec

GROUP = "small/probes/p"
BLOCK = 4
SPECS = (
    VariableSpec(name="x", description="A number.", reference="grokprobe"),
    VariableSpec(name="n", dtype="int64", description="A count.", reference="grokprobe"),
    VariableSpec(name="v", dims=("part",), dtype="float32", description="Two.", reference="grokprobe", headline=True),
)
PARTS = {
    "part": Coordinate(dim="part", values=np.array(["left", "right"]), description="Which."),
    "part_size": Coordinate(dim="part", values=np.array([3, 5])),
}
Run = tuple[int, float]


def build_row(number: float, status: Status = Status.OK) -> Row:
    if status is not Status.OK:
        return Row(values={}, status=status, checkpoint_digest="d")
    values = {"x": np.float64(number), "n": np.int64(7), "v": np.array([number, -number], dtype=np.float32)}
    return Row(values=values, status=status, checkpoint_digest=f"d{number:g}")


def create_cube(store: ResultsStore, block: int = BLOCK) -> Cube:
    store.create_experiment("small", {"experiment": "small"})
    cube = store.cube(GROUP, block=block)
    cube.create({"measure": "p"}, "epochs")
    return cube


def write_rows(cube: Cube, run: Run, rows: Mapping[int, Row], kept: Iterable[int] = ()) -> None:
    """Writes rows cell by cell; ``kept`` are the epochs of the run that stay."""
    for epochs in cube.blocks(list(rows)).values():
        cube.write(run, {epoch: rows[epoch] for epoch in epochs}, frozenset(kept))


def write_store(path: Path, rows: Mapping[Run, Mapping[int, Row]]) -> None:
    """Writes and publishes a store that holds these rows."""
    with ResultsStore.open(path) as store:
        cube = create_cube(store)
        coordinates = {
            "seed": [seed for seed, _ in rows],
            "init_scale": [scale for _, scale in rows],
            "epoch": sorted({epoch for run in rows.values() for epoch in run}),
        }
        cube.grow(coordinates)
        cube.create_variables(SPECS, PARTS)
        for run, epochs in rows.items():
            write_rows(cube, run, epochs)
        store.publish()


def read(path: Path) -> xr.Dataset:
    return open_results(path)[GROUP].to_dataset().load()
