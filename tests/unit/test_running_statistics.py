"""Running means and variances of a normalisation are no weights, in anybody's run and in a live model."""

from pathlib import Path

import torch
from torch import nn

import grokprobe
from grokprobe.numerics.layers import find_running_statistics


def make_network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))


def write_run(directory: Path) -> None:
    torch.manual_seed(0)
    network = make_network()
    for epoch in range(3):
        network(torch.randn(8, 4))  # moves the statistics
        for parameter in network.parameters():
            parameter.data.add_(torch.randn(parameter.shape))
        torch.save(network.state_dict(), directory / f"{epoch}.pt")


def test_they_are_found_in_pairs_of_one_shape() -> None:
    shapes = {
        "a.running_mean": (3,),
        "a.running_var": (3,),
        "running_mean": (2,),
        "running_var": (2,),
        "b.running_mean": (3,),
        "b.running_var": (4,),
        "c.running_mean": (3,),
        "my_running_mean": (3,),
        "my_running_var": (3,),
    }
    assert find_running_statistics(shapes) == {"a.running_mean", "a.running_var", "running_mean", "running_var"}


def test_they_are_left_out_of_layers_and_of_the_path(tmp_path: Path) -> None:
    write_run(tmp_path)
    report = grokprobe.analyze(
        tmp_path, out=tmp_path / "r.zarr", probes=["steps@biases"], geometry=["euclidean"], name="net"
    )
    steps = grokprobe.open_results(tmp_path / "r.zarr")["net/probes/steps@biases"]
    assert steps.layer.to_numpy().tolist() == ["0", "0.bias", "1", "1.bias", "3", "3.bias"]
    assert "probes/steps@biases: 1.running_mean is left out: a running statistic, so not a weight" in report.notices
    first, second = (torch.load(tmp_path / f"{epoch}.pt", weights_only=True) for epoch in (0, 1))
    weights = [name for name, _ in make_network().named_parameters()]
    norm = sum(((second[name] - first[name]) ** 2).sum().item() for name in weights) ** 0.5
    geometry = grokprobe.open_results(tmp_path / "r.zarr")["net/geometry/euclidean"]
    assert abs(geometry.step_norm.to_numpy().flatten()[0] / norm - 1) < 1e-6


def test_a_network_with_statistics_is_evaluated_with_them(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "factory.py").write_text(
        "from torch import nn\n\n\ndef make():\n"
        "    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))\n"
    )
    report = grokprobe.analyze(
        tmp_path, out=tmp_path / "r.zarr", probes=["weights"], model=f"{tmp_path / 'factory.py'}:make", name="net"
    )
    assert (report.failures, report.exit_code) == ((), 0)


def test_a_live_model() -> None:
    network = make_network().eval()
    tree = grokprobe.measure(network, probes=["weights"])
    assert tree["probes/weights"].layer.to_numpy().tolist() == ["0", "3"]
