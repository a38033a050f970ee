"""Measures taken during training are those of checkpoints that were kept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from grokprobe import analyze, train
from grokprobe.errors import UsageError
from grokprobe.progress import SilentProgress
from grokprobe.training import rolling
from grokprobe.training.rolling import RollingAnalysis
from program import grokprobe

RECIPE = """
[task]
name = "modular_addition"
p = 7
[model]
hidden = 8
[optimizer]
lr = 0.01
batch_size = 16
[sweep]
seeds = "0"
init_scales = [1.0, 3.0]
[schedule]
epochs = 12
checkpoints = ["every 2", "dense 0.1"]
history = "every 1"
"""
MEASURES = {"probes": ["weights"], "geometry": ["euclidean"]}


class Interrupting(SilentProgress):
    """Interrupts at a moment, counted in pieces of training and measuring."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def advance(self, num_units: int = 1, note: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def few_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, "STAGE_CHECKPOINTS", 3)


@pytest.fixture(name="recipe", scope="module")
def write_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(name="kept", scope="module")
def train_and_then_analyze(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place whose checkpoints were kept and analyzed after training."""
    place = tmp_path_factory.mktemp("kept")
    train(recipe, out=place / "runs", jobs=1)
    analyze(place / "runs", out=place / "r.zarr", **MEASURES)
    return place


def train_along(recipe: Path, place: Path, **options: object) -> None:
    asked = RollingAnalysis(**MEASURES, results=place / "r.zarr")
    train(recipe, out=place / "runs", jobs=1, analysis=asked, **options)


def assert_same_results(one: Path, other: Path) -> None:
    trees = [xr.open_datatree(place / "r.zarr", engine="zarr") for place in (one, other)]
    assert [node.path for node in trees[0].subtree] == [node.path for node in trees[1].subtree]
    for node in trees[0].subtree:
        xr.testing.assert_identical(node.to_dataset(), trees[1][node.path].to_dataset())


def list_checkpoints(place: Path) -> list[list[int]]:
    return [
        sorted(int(path.stem.split("-")[1]) for path in run.glob("epoch-*"))
        for run in sorted((place / "runs" / "small").glob("seed-*"))
    ]


def test_numbers_are_those_of_kept_checkpoints_and_few_are_left(recipe: Path, kept: Path, tmp_path: Path) -> None:
    train_along(recipe, tmp_path / "along")
    assert_same_results(tmp_path / "along", kept)
    for before, left in zip(list_checkpoints(kept), list_checkpoints(tmp_path / "along"), strict=True):
        assert len(before) >= 7
        assert len(left) <= 4
        assert {left[0], left[-1]} == {0, 12}
    for run in (tmp_path / "along" / "runs").rglob("run.json"):
        assert json.loads(run.read_text())["measured_until"] == 10


@pytest.mark.parametrize("moment", [20, 34])
def test_an_interrupted_training_ends_with_the_same_results(
    recipe: Path, kept: Path, tmp_path: Path, moment: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_along(recipe, tmp_path / "along", progress=Interrupting(moment))
    train_along(recipe, tmp_path / "along")
    assert_same_results(tmp_path / "along", kept)


@pytest.mark.parametrize(("what", "number"), [("write_manifest", 3), ("delete_checkpoints", 2)])
def test_an_end_between_measuring_and_deleting_loses_nothing(
    recipe: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, number: int
) -> None:
    true, left = getattr(rolling, what), [number]

    def end(*arguments: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        true(*arguments)

    monkeypatch.setattr(rolling, what, end)
    with pytest.raises(KeyboardInterrupt):
        train_along(recipe, tmp_path / "along")
    monkeypatch.setattr(rolling, what, true)
    train_along(recipe, tmp_path / "along")
    assert_same_results(tmp_path / "along", kept)


def test_more_epochs_go_on_to_the_results_of_all(recipe: Path, kept: Path, tmp_path: Path) -> None:
    for epochs in (6, 12):
        train_along(recipe, tmp_path / "along", epochs=epochs)
    assert_same_results(tmp_path / "along", kept)


def test_more_runs_leave_the_results_of_the_first_alone(recipe: Path, kept: Path, tmp_path: Path) -> None:
    for seeds, scales in (("0", [3.0]), ("0-1", [1.0, 3.0])):
        train_along(recipe, tmp_path / "along", seeds=seeds, init_scales=scales)
    trees = [xr.open_datatree(place / "r.zarr", engine="zarr") for place in (kept, tmp_path / "along")]
    for group in ("small/probes/weights", "small/geometry/euclidean"):
        expected, found = (tree[group].to_dataset().sel(seed=[0]).sortby("init_scale") for tree in trees)
        xr.testing.assert_equal(found.sel(epoch=expected.epoch), expected)


def test_checkpoints_that_there_never_were_are_missed(recipe: Path, tmp_path: Path) -> None:
    train_along(recipe, tmp_path / "along")
    with pytest.raises(UsageError, match=r"passed without keeping them \(3; it stands at epoch 12\)"):
        train_along(recipe, tmp_path / "along", epochs=14, settings=['schedule.checkpoints=["every 2", "3"]'])


def test_a_complete_one_is_left_alone(recipe: Path, tmp_path: Path) -> None:
    train_along(recipe, tmp_path / "along")
    before = list_checkpoints(tmp_path / "along")
    report = train(
        recipe,
        out=tmp_path / "along" / "runs",
        jobs=1,
        analysis=RollingAnalysis(**MEASURES, results=tmp_path / "x.zarr"),
    )
    assert [run.outcome for run in report.runs] == ["skipped"] * 2
    assert list_checkpoints(tmp_path / "along") == before


@pytest.mark.parametrize(
    ("measure", "need"), [("similarity_to_final", "final checkpoint"), ("similarity_to_run", "another run")]
)
def test_what_is_not_known_yet_is_refused_by_name(recipe: Path, tmp_path: Path, measure: str, need: str) -> None:
    result = grokprobe("train", recipe, "--out", tmp_path / "runs", "--analyze", "--probes", f"weights,{measure}")
    assert result.returncode == 2
    assert f"--analyze: probes/{measure} needs the {need}" in result.stderr
    assert not (tmp_path / "runs").exists()


def test_without_names_the_cheap_measures_that_are_possible_are_taken(recipe: Path, tmp_path: Path) -> None:
    command = ("train", recipe, "--out", tmp_path / "runs", "--jobs", "1", "--epochs", "4", "--analyze")
    result = grokprobe(*command, "--results", tmp_path / "r.zarr", "--set-measure", "fourier.basis=fft")
    assert result.returncode == 0, result.stderr
    tree = xr.open_datatree(tmp_path / "r.zarr", engine="zarr")
    assert tree["small/probes/weights"].epoch.to_numpy().tolist() == [0, 2, 4]
    assert tree["small/probes/fourier"].attrs["options"]["basis"] == "fft"


def test_options_of_the_analysis_want_it(recipe: Path, tmp_path: Path) -> None:
    result = grokprobe("train", recipe, "--out", tmp_path / "runs", "--probes", "weights")
    assert (result.returncode, "--probes: expected only with --analyze" in result.stderr) == (2, True)


def test_a_measure_that_fails_keeps_its_checkpoints(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Callable[..., object]:
        raise RuntimeError("no")

    monkeypatch.setattr("grokprobe.probes.weights.WeightsProbe.measure", fail)
    asked = RollingAnalysis(probes=["weights"], results=tmp_path / "r.zarr")
    report = train(recipe, out=tmp_path / "runs", jobs=1, analysis=asked)
    assert sum(len(one.failures) for one in report.analyses) > 0
    assert all(len(epochs) >= 7 for epochs in list_checkpoints(tmp_path))


def test_unknown_measures_are_refused_before_training(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="wieghts"):
        train(recipe, out=tmp_path / "runs", analysis=RollingAnalysis(probes=["wieghts"]))
    assert not (tmp_path / "runs").exists()
