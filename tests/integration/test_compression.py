"""Compression curves of a small run, as a user asks for them."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import grokprobe
from grokprobe.checkpoints import read_checkpoint
from grokprobe.splits import split_samples
from grokprobe_tasks.modular_addition.task import (
    ModularAddition,
    ModularAdditionModelOptions,
    ModularAdditionOptions,
)

TASK = ModularAddition(ModularAdditionOptions(p=7), ModularAdditionModelOptions(hidden=24))
NAME = "modular_addition-batch_size=16-hidden=24-p=7"
LABELS = [
    "magnitude", "magnitude@global", "magnitude@global_normalized", "magnitude@by_layer", "random", "fisher",
    "fisher@by_layer", "fisher@regression", "low_rank", "quantize", "magnitude@coarse",
]  # fmt: skip
COARSE = ("magnitude@coarse.num_amounts=6", "magnitude@coarse.last_layer=false")


Curves = dict[str, xr.Dataset]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compression")
    sizes = ("task.p=7", "model.hidden=24", "optimizer.batch_size=16", 'schedule.checkpoints=["every 30"]')
    grokprobe.train("modular_addition/demo", out=root / "runs", settings=sizes, init_scales=[1.0], epochs=60, jobs=1)
    report = grokprobe.analyze(root / "runs", out=root / "r.zarr", compressors=LABELS, settings=COARSE, epochs="60")
    assert report.exit_code == 0, report
    return root


@pytest.fixture(scope="module")
def tree(directory: Path) -> xr.DataTree:
    return grokprobe.open_results(directory / "r.zarr")[NAME].load()


@pytest.fixture(scope="module")
def curves(tree: xr.DataTree) -> Curves:
    place = {"seed": 0, "init_scale": 0, "epoch": 0}
    return {label: tree[f"compressors/{label}"].to_dataset().isel(place) for label in LABELS}


def test_curves_start_at_the_checkpoint_and_end_without_weights(tree: xr.DataTree, curves: Curves) -> None:
    trained = tree["history"].to_dataset().isel(seed=0, init_scale=0).sel(epoch=60)
    for curve in curves.values():
        for variable in ("accuracy", "loss"):
            np.testing.assert_allclose(curve[variable].sel(amount=0), trained[f"test_{variable}"], rtol=1e-6)
        assert (curve.compressibility >= 1).all()
    without = [curves[label].loss.sel(amount=1) for label in ("magnitude", "random", "fisher", "low_rank", "quantize")]
    np.testing.assert_allclose(without, without[0], rtol=1e-6)


def test_variants_are_what_they_say(curves: Curves) -> None:
    options = {label: curve.attrs["options"] for label, curve in curves.items()}
    assert options["magnitude@global"]["scope"] == "global"
    assert options["fisher"]["scope"] == "global"
    assert (options["fisher@by_layer"]["scope"], options["fisher@by_layer"]["by_layer"]) == ("layer", True)
    assert options["fisher@regression"]["metric"] == "regression"
    assert curves["fisher@by_layer"].layer.to_numpy().tolist() == ["input", "output"]
    assert curves["quantize"].bits.to_numpy().tolist() == list(range(32, -1, -1))
    assert curves["magnitude@coarse"].amount.to_numpy().tolist() == [0, 0.2, 0.4, 0.6, 0.8, 1]


def test_magnitude_beats_chance_on_a_trained_network(curves: Curves) -> None:
    assert curves["magnitude"].area > curves["random"].area


def test_live_measure_gives_the_same(directory: Path, curves: Curves) -> None:
    (path,) = directory.rglob("epoch-000060.safetensors")
    model = TASK.build_model()
    model.load_state_dict(dict(read_checkpoint(path).parameters))
    train, test = split_samples(TASK, "seed:0", "")
    labels = ["magnitude", "magnitude@by_layer", "fisher", "low_rank", "quantize"]
    live = grokprobe.measure(model, compressors=labels, task=TASK, train=train, test=test)
    for label in labels:
        found = live[f"compressors/{label}"].to_dataset()
        np.testing.assert_allclose(found.loss, curves[label].loss, rtol=1e-6)
        np.testing.assert_allclose(found.compressibility, curves[label].compressibility, rtol=1e-12)
    assert torch.equal(model.input.weight, read_checkpoint(path).parameters["input.weight"])
