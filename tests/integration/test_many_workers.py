"""However many processes, shards or workers of a cluster measure, and whichever of them dies: the same bytes."""

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import grokprobe
from grokprobe.cli import main
from grokprobe.errors import StoreError, UsageError
from grokprobe.executors import ProcessWorkers, open_cluster
from grokprobe.executors.dispatch import MAX_DEATHS
from grokprobe.plugins import PluginSelection
from grokprobe.status import Status
from grokprobe.store import ResultsStore, Shard
from integration import mortal_probe
from program import grokprobe as run_program
from program import run_function, tree_bytes

SIZES = ["task.p=5", "model.hidden=6", 'schedule.checkpoints=["every 1"]']
MEASURES = {
    "probes": ["weights", "mortal"],
    "compressors": ["magnitude"],
    "geometry": ["fisher"],
}
CHEAP = ["magnitude.num_amounts=3"]
#: Two runs of each scale, and of each two blocks of epochs.
SEEDS, SCALES, EPOCHS = [0, 1], [1.0, 3.0], 33
EXPERIMENT = "modular_addition-hidden=6-p=5"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds runs, a directory of plugins and the store that one process writes."""
    root = tmp_path_factory.mktemp("workers")
    grokprobe.train(
        "modular_addition/demo",
        out=root / "runs",
        seeds=SEEDS,
        init_scales=SCALES,
        epochs=EPOCHS,
        settings=SIZES,
        jobs=1,
    )
    (root / "plugins").mkdir()
    shutil.copy(mortal_probe.__file__, root / "plugins" / "mortal_probe.py")
    report = _analyze(root, root / "serial.zarr")
    assert report.exit_code == 0, report
    return root


@pytest.fixture(scope="module")
def expected(directory: Path) -> dict[str, bytes]:
    return tree_bytes(directory / "serial.zarr")


def _analyze(root: Path, out: Path, **options: Any) -> Any:
    plugins = PluginSelection(directory=root / "plugins")
    return grokprobe.analyze(root / "runs", out=out, plugins=plugins, settings=CHEAP, **MEASURES, **options)


def test_processes_of_which_one_dies(
    directory: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mortal_probe.ONCE, str(tmp_path / "died"))
    with ProcessWorkers(2) as workers:
        report = _analyze(directory, tmp_path / "r.zarr", executor=workers)
    assert (tmp_path / "died").exists()
    assert report.failures == ()
    assert report.experiments[0].measured["probes/mortal"] == (136, 136)
    assert tree_bytes(tmp_path / "r.zarr") == expected


def test_a_cluster_of_which_a_worker_dies(
    directory: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mortal_probe.ONCE, str(tmp_path / "died"))
    with open_cluster("local:2") as workers:
        report = _analyze(directory, tmp_path / "r.zarr", executor=workers)
    assert (tmp_path / "died").exists()
    assert report.failures == ()
    assert tree_bytes(tmp_path / "r.zarr") == expected


def test_a_unit_that_no_worker_survives_is_recorded_and_can_be_tried_again(
    directory: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mortal_probe.ALWAYS, "1")
    with ProcessWorkers(2) as workers:
        report = _analyze(directory, tmp_path / "r.zarr", executor=workers)
    assert report.exit_code == 3
    seed, scale = mortal_probe.RUN
    assert report.failures
    assert {failure.where.partition(" seed ")[2].rpartition(" epoch ")[0] for failure in report.failures} == {
        f"{seed} init_scale {scale:g}"
    }
    assert all(f"ended without a word, {MAX_DEATHS} times" in failure.reason for failure in report.failures)
    mortal = grokprobe.open_results(tmp_path / "r.zarr")[f"{EXPERIMENT}/probes/mortal"]
    status = mortal.status.sel(seed=seed, init_scale=scale)
    assert (status.sel(epoch=slice(None, mortal_probe.EPOCH - 1)) == int(Status.OK)).all()  # what was done stays
    assert (status.sel(epoch=slice(mortal_probe.EPOCH, 31)) == int(Status.FAILED)).all()
    assert (mortal.status == int(Status.OK)).sum() == 136 - 12
    monkeypatch.delenv(mortal_probe.ALWAYS)
    assert _analyze(directory, tmp_path / "r.zarr", retry_failed=True).exit_code == 0
    assert tree_bytes(tmp_path / "r.zarr") == expected


def test_shards_one_after_the_other(directory: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "r.zarr"
    last, first = (_analyze(directory, out, shard=f"{number}/3") for number in (3, 1))
    measured = [report.experiments[0].measured["probes/mortal"][1] for report in (last, first)]
    assert any("left to the other shards" in notice for notice in first.notices)
    middle = _analyze(directory, out, shard="2/3")
    assert sum(measured) + middle.experiments[0].measured["probes/mortal"][1] == 136
    assert not any("left to the other shards" in notice for notice in middle.notices)
    assert tree_bytes(out) == expected
    again = _analyze(directory, out, shard="1/3")
    assert all(num_new == 0 for _, num_new in again.experiments[0].measured.values())
    assert tree_bytes(out) == expected


def _command(directory: Path, out: Path, shard: str) -> list[Any]:
    labels = [word for kind, names in MEASURES.items() for word in (f"--{kind}", ",".join(names))]
    plugins = ["--plugins-dir", directory / "plugins", "--set", *CHEAP]
    return ["analyze", directory / "runs", "--out", out, "--shard", shard, *labels, *plugins]


def test_shards_at_the_same_time(directory: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        outcomes = list(
            threads.map(lambda shard: run_program(*_command(directory, tmp_path / "r.zarr", shard)), ("1/2", "2/2"))
        )
    assert [outcome.returncode for outcome in outcomes] == [0, 0], outcomes
    assert tree_bytes(tmp_path / "r.zarr") == expected


def _run_once(marker: Path, command: list[Any]) -> None:
    os.environ[mortal_probe.ONCE] = str(marker)
    main([str(word) for word in command])


def test_a_shard_that_died_is_taken_up_again(directory: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "r.zarr"
    marker = tmp_path / "died"
    ended = {shard: run_function(_run_once, marker, _command(directory, out, shard)) for shard in ("1/2", "2/2")}
    assert sorted(outcome.returncode for outcome in ended.values()) == [-signal.SIGKILL, 0]
    (dead,) = [shard for shard, outcome in ended.items() if outcome.returncode]
    assert tree_bytes(out) != expected
    assert _analyze(directory, out, shard=dead).exit_code == 0
    assert tree_bytes(out) == expected


def test_nobody_changes_the_structure_while_a_shard_measures(directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.zarr"
    _analyze(directory, out, epochs="0-3")
    store = ResultsStore(out)
    before = tree_bytes(out)
    with store.writers.hold(Shard.parse("1/2").writer):
        with pytest.raises(StoreError, match="is being written"):
            _analyze(directory, out, epochs="0-3")
        with pytest.raises(StoreError, match="beside which shard 1/2 would measure the same"):
            _analyze(directory, out, epochs="0-3", shard="1/2")
        with pytest.raises(StoreError, match="would measure the same"):
            _analyze(directory, out, epochs="0-3", shard="2/3")
        with pytest.raises(StoreError, match="no place for yet"):
            _analyze(directory, out, shard="2/2")
        assert _analyze(directory, out, epochs="0-3", shard="2/2").exit_code == 0
        assert tree_bytes(out) == before
    assert _analyze(directory, out, epochs="0-5", shard="2/2").exit_code == 0


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2"])
def test_a_shard_that_is_none_is_refused(directory: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"--shard: expected I/N with 1 ≤ I ≤ N"):
        _analyze(directory, tmp_path / "r.zarr", shard=text)
    assert not (tmp_path / "r.zarr").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--jobs", "2", "--shard", "1/2"], "expected at most one of --jobs, --shard, --dask"),
        (["--jobs", "0"], "0 is not in the range"),
        (["--dask", "local:0"], "expected local:N"),
        (["--dask", "nowhere"], "expected local:N"),
        (["--shard", "1/2", "--dry-run"], "--dry-run, which looks at everything"),
    ],
)
def test_what_makes_no_sense_is_refused(directory: Path, tmp_path: Path, options: list[str], message: str) -> None:
    outcome = run_program("analyze", directory / "runs", "--out", tmp_path / "r.zarr", *options)
    assert outcome.returncode == 2
    assert message in outcome.stderr
    assert not (tmp_path / "r.zarr").exists()
