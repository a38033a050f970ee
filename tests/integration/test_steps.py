"""Where a file says both epoch and optimizer steps, the dataset holds both."""

from pathlib import Path

import torch

import grokprobe
from strangers import stranger_parameters


def write(root: Path, epochs: range) -> None:
    for epoch in epochs:
        content = {"state_dict": stranger_parameters(5, 6, epoch=epoch), "epoch": epoch, "global_step": 40 * epoch}
        torch.save(content, root / f"epoch={epoch}.ckpt")


def test_step_is_a_coordinate_along_epoch_and_grows(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    for epochs in (range(3), range(3, 5)):
        write(runs, epochs)
        grokprobe.analyze(runs, out=tmp_path / "r.zarr", settings=("fourier.period=5",))
    ipr = grokprobe.open_results(tmp_path / "r.zarr")["checkpoints/probes/fourier/ipr"]
    assert ipr.epoch.to_numpy().tolist() == [0, 1, 2, 3, 4]
    assert ipr.step.to_numpy().tolist() == [0, 40, 80, 120, 160]
    assert ipr.neuron_layer.dims == ("neuron",)
