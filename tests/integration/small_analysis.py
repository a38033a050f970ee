"""An analysis so small that it can be done hundreds of times: two runs, two epochs, one number each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr

import grokprobe
from grokprobe.analysis import AnalysisReport
from grokprobe.interfaces import Context
from grokprobe.status import Status
from grokprobe.store import Coordinate, Entry, open_results, read_entries
from strangers import stranger_parameters
from unit.made_probes import MadeProbe, install_plugin

GROUP = "checkpoints/probes/small"
RUNS = ((0, 1.0), (1, 0.5))
EPOCHS = (0, 1)
#: What each version of the probe gives for epoch 0.
VERSIONS = {"1": 100.0, "2": 200.0}


def write_checkpoints(directory: Path) -> None:
    for seed, scale in RUNS:
        run = directory / f"seed_{seed}_scale_{scale}"
        run.mkdir(parents=True)
        for epoch in EPOCHS:
            torch.save(stranger_parameters(3, 2, epoch=epoch, seed=seed), run / f"{epoch}.pt")


class SmallAnalysis:
    """Calls ``analyze`` on the checkpoints below one directory; counts what is measured."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checkpoints, self.monkeypatch = directory, monkeypatch
        self.num_measured = 0

    def __call__(self, out: Path, *, version: str = "1", **options: Any) -> AnalysisReport:
        def measure(context: Context) -> float:
            self.num_measured += 1
            return VERSIONS[version] + context.epoch

        selection = install_plugin(self.monkeypatch, "small_plugin", MadeProbe("small", measure, version=version))
        chosen = {"probes": ["small"], "layout": "seed_{seed}_scale_{init_scale}/{epoch}.pt", "plugins": selection}
        return grokprobe.analyze(self.checkpoints, out=out, **chosen, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A store as it is before, and the call during which something happens."""

    #: Makes the store, or nothing.
    before: Callable[[SmallAnalysis, Path], object]
    #: Options of the call.
    options: dict[str, Any]


SCENARIOS = {
    "a new store": Scenario(before=lambda analyze, out: None, options={}),
    "growth by epoch, seed and scale": Scenario(
        before=lambda analyze, out: analyze(out, epochs="0", where=["seed=0"]), options={}
    ),
    "a measure replaced": Scenario(
        before=lambda analyze, out: analyze(out, where=["seed=0"]), options={"version": "2", "recompute": True}
    ),
    "nothing to do": Scenario(before=lambda analyze, out: analyze(out), options={}),
}


def read_published(path: Path) -> dict[tuple[int, float, int], float]:
    """Returns the results that a reader of the store sees."""
    if not (path / "zarr.json").exists():
        return {}
    xr.open_datatree(path, engine="zarr").close()
    tree = open_results(path)
    if GROUP not in [node.path.strip("/") for node in tree.subtree]:
        return {}
    group = tree[GROUP].to_dataset().load()
    if "value" not in group:
        return {}
    rows = group[["status", "value"]].to_dataframe()
    return {key: row.value for key, row in rows.iterrows() if row.status == Status.OK}  # type: ignore[misc]


def done(path: Path) -> dict[Coordinate, Entry]:
    """Returns what the ledger says is there."""
    return {coordinate: entry for coordinate, entry in read_entries(path).items() if entry.status is Status.OK}
