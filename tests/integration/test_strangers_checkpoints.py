"""``analyze`` on checkpoints of strangers, against a script that imports nothing of grokprobe."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from program import grokprobe, run_python
from strangers import write_stranger_run

LAYOUT = "p_{p}_dmlp_{width}_{act}_{init}_scale_{init_scale}_decay_{weight_decay}_{run}/{epoch}.pth"


def independent_ipr(weights: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """IPR and dominant frequency of each neuron, by explicit sums over the group."""
    weights = np.moveaxis(weights.astype(np.float64), axis, 1)
    p = weights.shape[1]
    powers = np.zeros((len(weights), p // 2 + 1))
    for k in range(p // 2 + 1):
        wave = np.exp(-2j * np.pi * k * np.arange(p) / p)
        powers[:, k] = np.abs(weights @ wave) ** 2 * (1 if k in (0, p / 2) else 2)
    return (powers**2).sum(1) / powers.sum(1) ** 2, powers.argmax(1)


def check_against_script(store: Path, files: dict[int, Path], names: tuple[str, str], experiment: str) -> int:
    """Compares every neuron at every epoch; returns how many neurons were compared."""
    tree = xr.open_datatree(store, engine="zarr")
    dataset = tree[f"{experiment}/probes/fourier"].to_dataset().sel(seed=0).isel(init_scale=0)
    compared = 0
    for epoch, file in files.items():
        parameters = torch.load(file, weights_only=True)["model"]
        for name, axis in zip(names, (1, 0), strict=True):
            weights = parameters[name].numpy()
            ipr, frequency = independent_ipr(weights, axis)
            measured = dataset.sel(epoch=epoch).isel(neuron=dataset.neuron_layer.to_numpy() == name)
            norms = np.linalg.norm(weights, axis=axis)
            alive = norms > 1e-3 * norms.max()
            np.testing.assert_allclose(measured.ipr.to_numpy()[alive], ipr[alive], atol=1e-6)
            np.testing.assert_array_equal(measured.dominant_frequency.to_numpy()[alive], frequency[alive])
            assert np.isnan(measured.ipr.to_numpy()[~alive]).all()
            compared += int(alive.sum())
    return compared


@pytest.mark.parametrize(
    ("p", "width", "directory"),
    [
        (7, 12, "p_7_dmlp_12_ReLU_random_scale_0.5_decay_0_x"),
        (10, 9, "p_10_dmlp_9_GeLU_he_scale_0.5_decay_1e-3_y"),
    ],
)
def test_any_period_width_and_directory(tmp_path: Path, p: int, width: int, directory: str) -> None:
    write_stranger_run(tmp_path / "runs" / directory, [0, 5, 10], p=p, width=width)
    result = grokprobe(
        "analyze", tmp_path / "runs", "--layout", LAYOUT, "--task", "modular_addition", "--set", f"task.p={p}",
        "--probes", "fourier,weights", "--out", tmp_path / "r.zarr", "--name", "stranger",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "net.basis is left out" in result.stderr
    assert "train_data.pth: expected named parameters" in result.stderr
    run = tmp_path / "runs" / directory
    files = {0: run / "0.pth", 5: run / "5.pth", 10: run / "final.pth"}
    assert check_against_script(tmp_path / "r.zarr", files, ("net.embed", "net.unembed"), "stranger") == 6 * width
    tree = xr.open_datatree(tmp_path / "r.zarr", engine="zarr")
    assert tree["stranger/probes/weights"].init_scale.to_numpy().tolist() == [0.5]
    assert tree["stranger/probes/weights"].layer.to_numpy().tolist() == ["net.embed", "net.unembed"]


def test_readable_in_a_fresh_interpreter_without_a_warning(tmp_path: Path) -> None:
    write_stranger_run(tmp_path / "run", [0, 1])
    result = grokprobe("analyze", tmp_path / "run", "--set", "fourier.period=7", "--out", tmp_path / "r.zarr")
    assert result.returncode == 0, result.stderr
    script = (
        "import sys, xarray\n"
        f"tree = xarray.open_datatree({str(tmp_path / 'r.zarr')!r}, engine='zarr').load()\n"
        "assert 'grokprobe' not in sys.modules and 'torch' not in sys.modules\n"
        "print(int((tree['checkpoints/probes/fourier/status'] == 1).sum()))"
    )
    opened = run_python("-W", "error", "-c", script)
    assert (opened.returncode, opened.stdout.strip()) == (0, "2"), opened.stderr


def test_real_third_party_run(shared_data: Path, tmp_path: Path) -> None:
    result = grokprobe(
        "analyze", shared_data / "third-party", "--layout", LAYOUT, "--task", "modular_addition", "--set", "task.p=23",
        "--probes", "fourier,weights", "--out", tmp_path / "r.zarr", "--name", "third-party",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "mlp.basis is left out" in result.stderr
    assert result.stderr.count("not a checkpoint:") == 2
    (run,) = (path for path in (shared_data / "third-party").iterdir() if path.is_dir())
    files = {epoch: run / f"{epoch}.pth" for epoch in range(0, 10000, 200)} | {10000: run / "final.pth"}
    tree = xr.open_datatree(tmp_path / "r.zarr", engine="zarr")
    dataset = tree["third-party/probes/fourier"]
    assert dataset.epoch.to_numpy().tolist() == list(files)
    assert (dataset.seed.to_numpy().tolist(), dataset.init_scale.to_numpy().tolist()) == ([0], [0.1])
    assert check_against_script(tmp_path / "r.zarr", files, ("mlp.W_in", "mlp.W_out"), "third-party") > 50_000
