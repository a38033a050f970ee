"""Results in an object store: written like those in a directory, gone on with from anywhere, read by everybody."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from click.testing import CliRunner

import grokprobe
from grokprobe.analysis_report import AnalysisReport
from grokprobe.cli import main
from grokprobe.errors import StoreError
from object_store_server import Bucket, elsewhere
from program import run_function, tree_bytes
from strangers import write_stranger_run

OPTIONS: dict[str, Any] = {"layout": "seed_{seed}/{epoch}.pth", "probes": ["weights", "fourier"]}
SETTINGS = {"settings": ["fourier.period=5", "run.init_scale=1"]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints") / "runs"
    for seed in (0, 1):
        write_stranger_run(root / f"seed_{seed}", list(range(4)), p=5, width=4, seed=seed)
    return root


@pytest.fixture(scope="module")
def local(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same analysis into a directory, of the same name."""
    out = tmp_path_factory.mktemp("local") / "mine.zarr"
    analyze(runs, out)
    return out


def analyze(runs: Path, out: str | Path, **options: Any) -> AnalysisReport:
    return grokprobe.analyze(runs, out=out, **OPTIONS, **SETTINGS, **options)


def num_measured(report: AnalysisReport) -> int:
    return sum(new for experiment in report.experiments for _, new in experiment.measured.values())


def working_copy(machine: Path) -> Path:
    (copy,) = machine.glob("object-stores/*/results.zarr")
    return copy


def test_same_numbers_as_in_a_directory(runs: Path, local: Path, bucket: Bucket, tmp_path: Path) -> None:
    report = analyze(runs, bucket.url)
    assert (report.results, report.exit_code, num_measured(report)) == (bucket.url, 0, 16)
    assert tree_bytes(working_copy(tmp_path / "cache")) == tree_bytes(local)

    with elsewhere(tmp_path / "nobody"):  # readers keep no copy
        expected, found = grokprobe.open_results(local), grokprobe.open_results(bucket.url)
        assert found.groups == expected.groups
        for node in expected.subtree:
            xr.testing.assert_identical(
                found[node.path].to_dataset(inherit=False).load(), node.to_dataset(inherit=False).load()
            )
    assert not (tmp_path / "nobody").exists()


def test_goes_on_from_elsewhere(runs: Path, bucket: Bucket, tmp_path: Path) -> None:
    assert num_measured(analyze(runs, bucket.url, epochs="0-1")) == 8
    with elsewhere(tmp_path / "second"):
        assert num_measured(analyze(runs, bucket.url)) == 8
        objects = bucket.object_names()
        assert num_measured(analyze(runs, bucket.url)) == 0
    assert num_measured(analyze(runs, bucket.url)) == 0
    assert bucket.object_names() == objects  # where nothing is new nothing is sent
    first, second = (tree_bytes(working_copy(tmp_path / name)) for name in ("cache", "second"))
    assert first == second


@pytest.mark.parametrize(
    ("moment", "num_seen", "num_left"),
    [("before a commit", 0, 16), ("after a commit", 16, 0), ("while chunks are sent", 0, 16)],
)
def test_killed_and_repeated(
    runs: Path, local: Path, bucket: Bucket, tmp_path: Path, moment: str, num_seen: int, num_left: int
) -> None:
    killed = run_function(analyze_killed, bucket.environment, moment, runs, bucket.url)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    if num_seen:
        status = grokprobe.open_results(bucket.url)["checkpoints/probes/weights/status"]
        assert int((status == 1).sum()) == num_seen / 2
    else:
        with pytest.raises(grokprobe.errors.UsageError, match="found nothing"):
            grokprobe.open_results(bucket.url)
    with elsewhere(tmp_path / "other"):  # ledger and results come together or not at all
        assert num_measured(analyze(runs, bucket.url, dry_run=True)) == num_left
    assert num_measured(analyze(runs, bucket.url)) == 0  # here all is known that was measured
    assert tree_bytes(working_copy(tmp_path / "cache")) == tree_bytes(local)


def test_both_sides_changed(runs: Path, bucket: Bucket, tmp_path: Path) -> None:
    killed = run_function(analyze_killed, bucket.environment, "before a commit", runs, bucket.url)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with elsewhere(tmp_path / "second"):
        analyze(runs, bucket.url, epochs="0-1")
    copy = working_copy(tmp_path / "cache")
    kept = tree_bytes(copy)
    with pytest.raises(StoreError, match="changed by somebody else") as raised:
        analyze(runs, bucket.url)
    assert raised.value.exit_code == 5
    assert str(copy) in str(raised.value)
    assert tree_bytes(copy) == kept
    copy.rename(tmp_path / "moved.zarr")
    assert num_measured(analyze(runs, bucket.url)) == 8


def test_commands_that_read(local: Path, runs: Path, bucket: Bucket, tmp_path: Path) -> None:
    analyze(runs, bucket.url)
    info = CliRunner().invoke(main, ["info", bucket.url])
    assert info.exit_code == 0, info.output
    assert "probes/weights: 2 seeds x 1 init_scales x 4 epochs: 8 ok" in info.output
    assert f'grokprobe.open_results("{bucket.url}")' in info.output
    plot = CliRunner().invoke(main, ["plot", bucket.url, "probes/weights/norm", "--out", str(tmp_path / "figures")])
    assert plot.exit_code == 0, plot.output
    assert len(list((tmp_path / "figures").rglob("*.svg"))) == 1
    pages = []
    for results in (local, bucket.url):
        out = tmp_path / "report.html"
        report = CliRunner().invoke(main, ["report", str(results), "--out", str(out)])
        assert report.exit_code == 0, report.output
        pages.append(out.read_text())
    assert pages[0] == pages[1]


def test_a_request_that_cannot_be_carried_out_leaves_nothing(runs: Path, bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(grokprobe.errors.UsageError, match="did you mean"):
        grokprobe.analyze(runs, out=bucket.url, probes=["wieghts"])
    with pytest.raises(grokprobe.errors.UsageError, match="selected none"):
        analyze(runs, bucket.url, epochs="100-")
    assert analyze(runs, bucket.url, dry_run=True).results == bucket.url
    assert bucket.object_names() == set()
    assert list((tmp_path / "cache").glob("object-stores/*/results.zarr")) == []


def analyze_killed(environment: dict[str, str], moment: str, runs: Path, url: str) -> None:
    """Analyzes until a moment of the first commit."""
    os.environ.update(environment)
    from grokprobe.store.object_store import Edit

    commit, delete = Edit.commit, Edit.delete

    def commit_killed(edit: Edit, publication: str) -> str | None:
        if moment == "after a commit":
            commit(edit, publication)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    def delete_killed(edit: Edit, keys: Any) -> None:
        if moment == "while chunks are sent":
            os.kill(os.getpid(), signal.SIGKILL)
        delete(edit, keys)

    Edit.commit, Edit.delete = commit_killed, delete_killed
    analyze(runs, url)
