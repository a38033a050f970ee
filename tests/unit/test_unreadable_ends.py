"""A first or last checkpoint that cannot be read: the nearest readable one stands in for it, and that is said."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import grokprobe
from grokprobe.analysis import AnalysisReport
from grokprobe.interfaces import Context, Requirement
from unit.made_probes import MadeProbe, install_plugin


def compare(context: Context) -> float:
    """The values of the first, this and the last checkpoint, as digits."""
    return float(100 * context.initial["w"][0] + 10 * context.parameters["w"][0] + context.final["w"][0])


class Bench:
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.monkeypatch = root, monkeypatch
        for epoch in range(1, 5):
            self.write(epoch)

    def write(self, epoch: int) -> None:
        torch.save({"w": torch.full((2,), float(epoch))}, self.root / f"{epoch}.pt")

    def spoil(self, epoch: int) -> None:
        path = self.root / f"{epoch}.pt"
        path.write_bytes(path.read_bytes()[:400])

    def analyze(self, *requires: Requirement, **options: Any) -> AnalysisReport:
        probe = MadeProbe("ends", compare, requires=frozenset(requires))
        plugins = install_plugin(self.monkeypatch, "ends_plugin", probe)
        return grokprobe.analyze(self.root, out=self.root / "r.zarr", plugins=plugins, probes=["ends"], **options)

    def values(self) -> list[float]:
        return (
            grokprobe.open_results(self.root / "r.zarr")["checkpoints/probes/ends"].value.to_numpy().flatten().tolist()
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_the_nearest_readable_one_is_taken_and_named(bench: Bench) -> None:
    bench.spoil(1)
    bench.spoil(4)
    report = bench.analyze(Requirement.INITIAL, Requirement.FINAL)
    values = bench.values()
    assert values[1:3] == [223, 233]
    assert [math.isnan(value) for value in values] == [True, False, False, True]
    assert [failure.where[-7:] for failure in report.failures] == ["epoch 1", "epoch 4"]
    said = [notice for notice in report.notices if "cannot be read" in notice]
    instead = (
        "seed 0 init_scale 1: the checkpoint of epoch {} cannot be read; what needs the {} checkpoint takes that of"
    )
    assert said == [f"{instead.format(1, 'initial')} epoch 2", f"{instead.format(4, 'final')} epoch 3"]


def test_once_it_is_mended_everything_is_measured_again(bench: Bench) -> None:
    bench.spoil(4)
    bench.analyze(Requirement.INITIAL, Requirement.FINAL)
    assert bench.values()[:3] == [113, 123, 133]
    bench.write(4)
    report = bench.analyze(Requirement.INITIAL, Requirement.FINAL)
    assert report.experiments[0].measured["probes/ends"] == (4, 4)
    assert bench.values() == [114, 124, 134, 144]
    assert not any("cannot be read" in notice for notice in report.notices)


def test_nothing_is_said_where_nobody_asks(bench: Bench) -> None:
    bench.spoil(4)
    report = bench.analyze(Requirement.WEIGHTS)
    assert not any("cannot be read" in notice for notice in report.notices)
