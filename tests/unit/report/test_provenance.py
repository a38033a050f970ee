import shlex
from pathlib import Path

import xarray as xr

from grokprobe.plots import ExperimentResults
from grokprobe.report.provenance import build_commands, flatten_parameters


def results(**options: dict[str, object]) -> ExperimentResults:
    groups = {path.replace("__", "/"): xr.Dataset(attrs={"options": given}) for path, given in options.items()}
    return ExperimentResults(name="made", attributes={}, groups=groups)


def test_the_command_has_every_option_that_can_be_given() -> None:
    found = results(
        probes__fourier={"basis": "rfft", "period": None, "axes": {"embed.weight": 1}},
        compressors__magnitude={"num_amounts": 11},
        geometry__euclidean={"thresholds": [0.1, 1.0]},
    )
    command, *_ = build_commands(found, Path("/somewhere/my results.zarr"))
    assert shlex.split(command) == [
        "grokprobe", "analyze", "CHECKPOINTS", "--out", "my results.zarr",
        "--probes", "fourier", "--compressors", "magnitude", "--geometry", "euclidean",
        "--set", 'fourier.basis="rfft"', "--set", "fourier.axes.embed.weight=1",
        "--set", "magnitude.num_amounts=11", "--set", "euclidean.thresholds=[0.1, 1.0]",
    ]  # fmt: skip


def test_a_label_of_two_kinds_is_told_apart() -> None:
    command, *_ = build_commands(results(probes__fisher={"a": 1}, geometry__fisher={"a": 2}), Path("r.zarr"))
    assert command.endswith("--set probes/fisher.a=1 --set geometry/fisher.a=2")


def test_parameters_are_flat() -> None:
    parameters = {"task": {"name": "made", "p": 5}, "model": {}}
    assert flatten_parameters({"parameters": parameters}) == {"task.name": '"made"', "task.p": "5"}
    assert flatten_parameters({}) == {}
