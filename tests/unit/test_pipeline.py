"""What one measure does is its own affair: the loop as seen from ``analyze``."""

import contextlib
import errno
import math
import os
import uuid
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import grokprobe
from grokprobe import loading
from grokprobe.analysis import AnalysisReport
from grokprobe.checkpoints import CheckpointRef, Reading
from grokprobe.errors import GrokprobeWarning, UsageError
from grokprobe.interfaces import Context, Requirement
from grokprobe.plugins import PluginSelection
from grokprobe.status import Status
from grokprobe.variables import Coordinate, Measurement, VariableSpec
from strangers import stranger_parameters, write_stranger_run
from unit.made_probes import MadeProbe, install_plugin

SHARE = VariableSpec(name="value", bounds=(0.0, 1.0), description="A share.", reference="grokprobe")
PARTS = VariableSpec(name="value", dims=("part",), description="Parts.", reference="grokprobe")


class Bench:
    """One run of checkpoints, and made probes to measure it with."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, epochs: Iterable[int]) -> None:
        self.root, self.monkeypatch = root, monkeypatch
        self.write(epochs)

    def write(self, epochs: Iterable[int]) -> None:
        (self.root / "run").mkdir(exist_ok=True)
        for epoch in epochs:
            torch.save(stranger_parameters(5, 4, epoch=epoch), self.root / "run" / f"{epoch}.pt")

    def analyze(self, *probes: MadeProbe, **options: Any) -> AnalysisReport:
        selection = install_plugin(self.monkeypatch, "bench_plugin", *probes)
        chosen = {"probes": [probe.name for probe in probes], "layout": "{epoch}.pt"} | options
        return grokprobe.analyze(self.root / "run", out=self.root / "r.zarr", plugins=selection, **chosen)

    def group(self, name: str) -> Any:
        dataset = grokprobe.open_results(self.root / "r.zarr")[f"checkpoints/probes/{name}"].to_dataset().load()
        return dataset.isel(seed=0, init_scale=0)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch, [0, 10, 20, 30])


def raising_at(epoch: int, error: Exception) -> Any:
    def measure(context: Context) -> float:
        if context.epoch == epoch:
            raise error
        return float(context.epoch)

    return measure


def measured(report: AnalysisReport, name: str) -> tuple[int, int]:
    return report.experiments[0].measured[f"probes/{name}"]


def test_a_measure_that_raises_costs_that_result_only(bench: Bench) -> None:
    bad = MadeProbe("bad", raising_at(10, ZeroDivisionError("twice\n the weight")))
    good = MadeProbe("good", lambda context: context.epoch)
    report = bench.analyze(bad, good)
    assert report.exit_code == 3
    (failure,) = report.failures
    assert failure.where == "checkpoints/probes/bad seed 0 init_scale 1 epoch 10"
    assert failure.reason == "ZeroDivisionError: twice the weight"
    np.testing.assert_array_equal(bench.group("bad").value.to_numpy(), [0, math.nan, 20, 30])
    assert bench.group("bad").status.to_numpy().tolist() == [1, 2, 1, 1]
    assert bench.group("good").value.to_numpy().tolist() == [0, 10, 20, 30]
    assert (bench.group("good").status == Status.OK).all()
    assert bench.group("bad").checkpoint_digest.to_numpy()[1].startswith("sha256:")


def test_a_failure_is_said_again_and_tried_again_on_request(bench: Bench) -> None:
    calls: Counter[int] = Counter()

    def failing(context: Context) -> float:
        calls[context.epoch] += 1
        return raising_at(10, ValueError("no"))(context)

    bench.analyze(MadeProbe("bad", failing))
    calls.clear()
    again = bench.analyze(MadeProbe("bad", failing))
    assert not calls
    assert again.exit_code == 3
    assert measured(again, "bad") == (4, 0)
    (failure,) = again.failures
    assert "ValueError: no (failed before; --retry-failed tries again)" in failure.reason

    retried = bench.analyze(MadeProbe("bad", failing), retry_failed=True)
    assert (retried.exit_code, measured(retried, "bad")) == (3, (4, 0))
    fixed = bench.analyze(MadeProbe("bad", lambda context: context.epoch), retry_failed=True)
    assert (fixed.exit_code, measured(fixed, "bad"), fixed.failures) == (0, (4, 1), ())
    assert bench.group("bad").value.to_numpy().tolist() == [0, 10, 20, 30]
    assert bench.analyze(MadeProbe("bad", failing)).exit_code == 0


def test_a_measure_that_fails_everywhere_and_is_fixed(bench: Bench) -> None:
    def failing(context: Context) -> float:
        raise RuntimeError("never")

    report = bench.analyze(MadeProbe("bad", failing), MadeProbe("good", lambda context: 1.0))
    assert len(report.failures) == 4
    assert bench.group("bad").status.to_numpy().tolist() == [2] * 4
    assert "value" not in bench.group("bad")
    fixed = bench.analyze(MadeProbe("bad", lambda context: context.epoch), retry_failed=True)
    assert fixed.exit_code == 0
    assert bench.group("bad").value.to_numpy().tolist() == [0, 10, 20, 30]


def test_a_measure_that_fails_only_when_it_is_first_called(bench: Bench) -> None:
    calls: Counter[int] = Counter()

    def failing_first(context: Context) -> float:
        calls[context.epoch] += 1
        if calls[context.epoch] == 1:
            raise RuntimeError("out of memory")
        return context.epoch

    bench.analyze(MadeProbe("flaky", failing_first))
    assert bench.analyze(MadeProbe("flaky", failing_first), retry_failed=True).exit_code == 0
    assert bench.group("flaky").value.to_numpy().tolist() == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (2.0, r"'value': expected values in [0, 1]"),
        (np.zeros(3), "'value': expected dimensions (), found shape (3,)"),
        (Measurement(values={}, coordinates={}), "missing ['value']"),
        (Measurement(values={"value": np.array(1j)}, coordinates={}), "expected float64, found complex128"),
        (Measurement(values=None, coordinates={}), "TypeError"),  # type: ignore[arg-type]
    ],
)
def test_a_value_that_contradicts_its_specification_is_a_failure(bench: Bench, found: Any, reason: str) -> None:
    probe = MadeProbe("wrong", lambda context: found if context.epoch == 20 else 0.5, specs=(SHARE,))
    report = bench.analyze(probe)
    assert report.exit_code == 3
    (failure,) = report.failures
    assert reason in failure.reason
    assert bench.group("wrong").status.to_numpy().tolist() == [1, 1, 2, 1]


def test_labels_that_depend_on_the_checkpoint_are_a_failure(bench: Bench) -> None:
    def measure(context: Context) -> Measurement:
        size = 3 if context.epoch == 30 else 2
        labels = Coordinate(dim="part", values=np.arange(size))
        return Measurement(values={"value": np.zeros(size)}, coordinates={"part": labels})

    report = bench.analyze(MadeProbe("wide", measure, specs=(PARTS,)))
    (failure,) = report.failures
    assert "coordinate 'part'" in failure.reason
    assert bench.group("wide").status.to_numpy().tolist() == [1, 1, 1, 2]


def test_nan_is_a_result(bench: Bench) -> None:
    report = bench.analyze(MadeProbe("undefined", lambda context: math.nan))
    assert report.exit_code == 0
    assert bench.group("undefined").status.to_numpy().tolist() == [1] * 4
    assert bench.group("undefined").value.isnull().all()


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        (Requirement.MODEL, "no model fits"),
        (Requirement.TRAIN_SPLIT, "its training split is unknown"),
        (Requirement.TEST_SPLIT, "its test split is unknown"),
        (Requirement.OTHER_RUN, "no reference is declared; say --set run.reference=PATH"),
    ],
)
def test_what_cannot_be_had_does_not_apply(bench: Bench, requirement: Requirement, reason: str) -> None:
    def never(context: Context) -> float:
        raise AssertionError("measured although it does not apply")

    needy = MadeProbe("needy", never, requires=frozenset({requirement}))
    report = bench.analyze(needy, MadeProbe("good", lambda context: 1.0))
    assert (report.exit_code, report.failures) == (0, ())
    (experiment,) = report.experiments
    assert list(experiment.measured) == ["probes/good"]
    assert reason in experiment.not_applicable["probes/needy"]


def test_a_checkpoint_between_two_others_concerns_its_neighbours_only(bench: Bench) -> None:
    calls: list[tuple[str, int]] = []

    def step(context: Context) -> float:
        calls.append(("step", context.epoch))
        if context.previous is None or context.next is None:
            return math.nan
        moved = context.next["net.embed"].double() - context.previous["net.embed"].double()
        return float(torch.linalg.norm(moved))

    def own(context: Context) -> float:
        calls.append(("own", context.epoch))
        return 1.0

    def far(context: Context) -> float:
        calls.append(("far", context.epoch))
        return float(context.final["net.embed"].double().sum())

    probes = [
        MadeProbe("step", step, requires=frozenset({Requirement.WEIGHTS, Requirement.NEIGHBOURS})),
        MadeProbe("own", own),
        MadeProbe("far", far, requires=frozenset({Requirement.WEIGHTS, Requirement.FINAL})),
    ]
    bench.write([40, 50])
    bench.analyze(*probes)
    calls.clear()
    bench.write([25])
    report = bench.analyze(*probes)
    assert {name: measured(report, name) for name in ("step", "own", "far")} == {
        "step": (7, 3), "own": (7, 1), "far": (7, 1)
    }  # fmt: skip
    assert {epoch for name, epoch in calls if name == "step"} == {20, 25, 30}
    expected = {epoch: stranger_parameters(5, 4, epoch=epoch)["net.embed"].double() for epoch in (20, 25, 30, 10, 40)}
    found = bench.group("step").value
    assert found.sel(epoch=20).item() == pytest.approx(torch.linalg.norm(expected[25] - expected[10]).item())
    assert found.sel(epoch=25).item() == pytest.approx(torch.linalg.norm(expected[30] - expected[20]).item())
    assert found.sel(epoch=30).item() == pytest.approx(torch.linalg.norm(expected[40] - expected[25]).item())

    bench.write([60])  # another end of the run
    report = bench.analyze(*probes)
    assert {name: measured(report, name)[1] for name in ("step", "own", "far")} == {"step": 2, "own": 1, "far": 8}


def test_the_epoch_of_a_neighbour_is_an_input(bench: Bench) -> None:
    def width(context: Context) -> float:
        following = context.neighbour_epoch(1)
        return math.nan if following is None else float(following - context.epoch)

    probe = MadeProbe("width", width, requires=frozenset({Requirement.WEIGHTS, Requirement.NEIGHBOURS}))
    bench.analyze(probe)
    assert bench.group("width").value.sel(epoch=20) == 10
    (bench.root / "run" / "30.pt").rename(bench.root / "run" / "35.pt")  # the same bytes
    assert measured(bench.analyze(probe), "width") == (4, 2)
    assert bench.group("width").value.sel(epoch=20) == 15


def test_nothing_is_measured_twice(bench: Bench) -> None:
    probe = MadeProbe("good", lambda context: context.epoch)
    assert measured(bench.analyze(probe, epochs="0-10"), "good") == (2, 2)
    assert measured(bench.analyze(probe), "good") == (4, 2)
    assert measured(bench.analyze(probe), "good") == (4, 0)
    assert measured(bench.analyze(probe, recompute=True), "good") == (4, 4)


def test_a_checkpoint_is_read_once_for_all_measures(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()
    real = loading.load_parameters

    def count(reading: Reading, checkpoint: CheckpointRef, device: torch.device, *, is_evaluated: bool) -> Any:
        read[checkpoint.path.name] += 1
        return real(reading, checkpoint, device, is_evaluated=is_evaluated)

    probes = [MadeProbe(f"p{i}", lambda context: float(context.parameters["net.embed"].sum())) for i in range(3)]
    bench.analyze(*probes, epochs="0")  # the variables are there afterwards
    monkeypatch.setattr(loading, "load_parameters", count)
    bench.analyze(*probes)
    assert read == {"10.pt": 1, "20.pt": 1, "30.pt": 1}


def test_what_is_measured_before_an_interrupt_is_kept(bench: Bench) -> None:
    def measure(context: Context) -> float:
        if context.epoch == 20 and interrupts:
            raise interrupts.pop()
        return context.epoch

    interrupts: list[BaseException] = []
    bench.analyze(MadeProbe("slow", measure), epochs="0")
    interrupts.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        bench.analyze(MadeProbe("slow", measure))
    assert bench.group("slow").status.to_numpy().tolist() == [1, 1, 0, 0]
    assert measured(bench.analyze(MadeProbe("slow", measure)), "slow") == (4, 2)
    assert bench.group("slow").value.to_numpy().tolist() == [0, 10, 20, 30]


def test_another_version_is_refused_or_replaces_everything(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.analyze(MadeProbe("good", lambda context: context.epoch))
    second = MadeProbe("good", lambda context: -context.epoch, version="2")
    with pytest.raises(UsageError, match=r"measure version 1, now 2 is asked for.*--recompute"):
        bench.analyze(second)
    numbers = iter(range(1000, 0, -1))  # file names in the ledger in any order, this one the worst
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=next(numbers) << 100))
    assert measured(bench.analyze(second, recompute=True), "good") == (4, 4)
    assert bench.group("good").value.to_numpy().tolist() == [0, -10, -20, -30]
    assert bench.group("good").attrs["measure_version"] == "2"
    assert measured(bench.analyze(second), "good") == (4, 0)


def test_a_name_held_by_another_experiment_keeps_its_results(bench: Bench) -> None:
    bench.analyze(MadeProbe("good", lambda context: 1.0), name="mine")
    before = grokprobe.open_results(bench.root / "r.zarr")["mine/probes/good"].to_dataset().load()
    write_stranger_run(bench.root / "other", [0, 10], p=7, width=3)
    selection = install_plugin(bench.monkeypatch, "bench_plugin", MadeProbe("good", lambda context: 2.0))
    with contextlib.suppress(UsageError):  # refused, or beside it under another name
        grokprobe.analyze(
            bench.root / "other", out=bench.root / "r.zarr", plugins=selection, probes=["good"], name="mine"
        )
    after = grokprobe.open_results(bench.root / "r.zarr")["mine/probes/good"].to_dataset().load()
    xr.testing.assert_identical(after, before)


def test_two_measures_under_one_label_are_refused(bench: Bench) -> None:
    install_plugin(bench.monkeypatch, "one_plugin", MadeProbe("same", lambda context: 1.0))
    install_plugin(bench.monkeypatch, "two_plugin", MadeProbe("same", lambda context: 2.0))
    selection = PluginSelection(requested=("one_plugin", "two_plugin"))
    labels = ["one_plugin:same", "two_plugin:same"]
    with pytest.warns(GrokprobeWarning, match="'same'"), pytest.raises(UsageError, match="same"):
        grokprobe.analyze(bench.root / "run", out=bench.root / "r.zarr", plugins=selection, probes=labels)


def test_a_file_that_cannot_be_opened_costs_its_own_results_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def refuse(self: Path, *args: Any, **options: Any) -> Any:
        if self.name == "10.pt":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    report = bench.analyze(MadeProbe("good", lambda context: context.epoch))
    assert report.exit_code == 3
    (failure,) = report.failures
    assert "Permission denied" in failure.reason
    assert bench.group("good").status.to_numpy().tolist() == [1, 2, 1, 1]


def test_the_first_checkpoint_is_an_input_of_what_requires_it(bench: Bench) -> None:
    probe = MadeProbe(
        "start", lambda context: float(context.initial["net.embed"].sum()), requires=frozenset({Requirement.INITIAL})
    )
    bench.analyze(probe)
    bench.write([0])  # the same checkpoint again: nothing has changed
    (experiment,) = bench.analyze(probe).experiments
    assert experiment.measured["probes/start"] == (4, 0)
    torch.save(stranger_parameters(5, 4, epoch=77), bench.root / "run" / "0.pt")
    (experiment,) = bench.analyze(probe).experiments
    assert experiment.measured["probes/start"] == (4, 4)


def test_a_reference_is_a_file_or_the_last_checkpoint_of_a_run_and_an_input(bench: Bench) -> None:
    def distance(context: Context) -> float:
        return float((context.reference["net.embed"] - context.parameters["net.embed"]).abs().sum())

    probe = MadeProbe("distance", distance, requires=frozenset({Requirement.OTHER_RUN}))
    write_stranger_run(bench.root / "other", [3, 30], p=5, width=4)
    bench.analyze(probe, settings=[f"run.reference={bench.root / 'other'}"])
    assert bench.group("distance").value.sel(epoch=30) == 0  # both are seed 0 at epoch 30
    assert (bench.group("distance").value.sel(epoch=[0, 10, 20]) > 0).all()
    (experiment,) = bench.analyze(probe, settings=[f"run.reference={bench.root / 'run' / '10.pt'}"]).experiments
    assert experiment.measured["probes/distance"] == (4, 4)
    assert bench.group("distance").value.sel(epoch=10) == 0


def test_a_reference_that_cannot_be_compared_with_is_said(bench: Bench) -> None:
    probe = MadeProbe("distance", lambda context: 0.0, requires=frozenset({Requirement.OTHER_RUN}))
    write_stranger_run(bench.root / "wider", [0], p=5, width=6)
    report = bench.analyze(probe, settings=[f"run.reference={bench.root / 'wider'}"], dry_run=True)
    assert "has another tensor net.embed: (6, 5)" in report.experiments[0].not_applicable["probes/distance"]
    write_stranger_run(bench.root / "several" / "a", [0])
    write_stranger_run(bench.root / "several" / "b", [0])
    with pytest.raises(UsageError, match="expected one checkpoint file or the directory of one run, found 2 runs"):
        bench.analyze(probe, settings=[f"run.reference={bench.root / 'several'}"])


def test_a_measure_in_inference_mode_spoils_nothing_for_one_that_needs_gradients(bench: Bench) -> None:
    @torch.inference_mode()
    def look(context: Context) -> float:
        return float(context.parameters["net.embed"].sum())

    def differentiate(context: Context) -> float:
        factor = torch.ones((), requires_grad=True)
        (slope,) = torch.autograd.grad((factor * context.parameters["net.embed"]).sum(), factor)
        return float(slope)

    report = bench.analyze(MadeProbe("look", look), MadeProbe("slope", differentiate))
    assert report.failures == ()
    assert bench.group("look").value.equals(bench.group("slope").value)
