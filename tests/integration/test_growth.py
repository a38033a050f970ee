"""A store that grows holds what analyzing everything at once would have given."""

import shutil
from pathlib import Path

import numpy as np
import torch
import xarray as xr

import grokprobe
from strangers import stranger_parameters

ALL = {(seed, scale): range(0, 90, 2) for seed in (0, 1) for scale in (0.5, 2.0)}
LAYOUT = "seed_{seed}_scale_{init_scale}/{epoch}.pt"
OPTIONS = {"layout": LAYOUT, "settings": ("fourier.period=5",)}


def write(root: Path, seed: int, scale: float, epochs: range) -> None:
    directory = root / f"seed_{seed}_scale_{scale}"
    directory.mkdir(parents=True, exist_ok=True)
    for epoch in epochs:
        torch.save(stranger_parameters(5, 6, epoch=epoch, seed=seed), directory / f"{epoch}.pt")


def assert_same_results(first: Path, second: Path) -> None:
    one, other = grokprobe.open_results(first), grokprobe.open_results(second)
    for group in ("checkpoints/probes/fourier", "checkpoints/probes/weights"):
        xr.testing.assert_identical(one[group].to_dataset().load(), other[group].to_dataset().load())


def test_epochs_before_between_after_a_seed_and_a_scale(tmp_path: Path) -> None:
    whole, growing = tmp_path / "whole", tmp_path / "growing"
    for (seed, scale), epochs in ALL.items():
        write(whole, seed, scale, epochs)
    grokprobe.analyze(whole, out=tmp_path / "whole.zarr", **OPTIONS)

    num_new = []
    steps = [
        (0, 0.5, range(20, 60, 4)),  # every fourth epoch of the middle
        (0, 0.5, range(22, 60, 4)),  # between
        (0, 0.5, range(0, 20, 2)),  # before
        (0, 0.5, range(60, 90, 2)),  # after
        (1, 0.5, range(0, 90, 2)),  # a seed
        (0, 2.0, range(0, 90, 2)),  # a scale
        (1, 2.0, range(0, 90, 2)),
    ]
    for seed, scale, epochs in steps:
        write(growing, seed, scale, epochs)
        report = grokprobe.analyze(growing, out=tmp_path / "growing.zarr", **OPTIONS)
        num_new.append(report.experiments[0].measured["probes/fourier"][1])
    assert num_new == [len(epochs) for _, _, epochs in steps]  # nothing is measured twice
    assert_same_results(tmp_path / "whole.zarr", tmp_path / "growing.zarr")


def test_results_of_deleted_checkpoints_stay(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write(runs, 0, 1.0, range(10))
    grokprobe.analyze(runs, out=tmp_path / "r.zarr", **OPTIONS)
    shutil.rmtree(runs)
    write(runs, 0, 1.0, range(10, 15))
    grokprobe.analyze(runs, out=tmp_path / "r.zarr", **OPTIONS)
    ipr = grokprobe.open_results(tmp_path / "r.zarr")["checkpoints/probes/fourier/ipr"]
    assert ipr.epoch.to_numpy().tolist() == list(range(15))
    assert np.isfinite(ipr.to_numpy()).all()


def test_a_changed_checkpoint_is_measured_again_and_no_other(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write(runs, 0, 1.0, range(5))
    grokprobe.analyze(runs, out=tmp_path / "r.zarr", **OPTIONS)
    torch.save(stranger_parameters(5, 6, epoch=77), runs / "seed_0_scale_1.0" / "3.pt")
    report = grokprobe.analyze(runs, out=tmp_path / "r.zarr", **OPTIONS)
    assert report.experiments[0].measured["probes/fourier"] == (5, 1)
    norm = grokprobe.open_results(tmp_path / "r.zarr")["checkpoints/probes/weights/norm"]
    expected = torch.linalg.norm(stranger_parameters(5, 6, epoch=77)["net.embed"].double())
    assert np.isclose(norm.sel(epoch=3, layer="net.embed").item(), expected.item())


def test_a_second_variant_stands_beside_the_first(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write(runs, 0, 1.0, range(3))
    settings = ("fourier.period=5", "fourier@fft.period=5", "fourier@fft.basis=fft")
    grokprobe.analyze(
        runs, out=tmp_path / "r.zarr", layout=LAYOUT, probes=["fourier", "fourier@fft"], settings=settings
    )
    tree = grokprobe.open_results(tmp_path / "r.zarr")
    assert tree["checkpoints/probes/fourier@fft"].attrs["options"]["basis"] == "fft"
    assert (tree["checkpoints/probes/fourier@fft/ipr"] < tree["checkpoints/probes/fourier/ipr"] + 1e-9).all()
