"""SIGKILL at chosen moments inside store writes; the same command again gives the same bytes."""

import json
from pathlib import Path

import pytest

from program import grokprobe, grokprobe_killed, run_python, tree_bytes
from strangers import write_stranger_run

LAYOUT = "seed_{seed}/{epoch}.pth"
NUM_RESULTS = 2 * 2 * 40  # probes, seeds, epochs
BLOCK = 32


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        write_stranger_run(root / f"seed_{seed}", list(range(40)), p=5, width=4, seed=seed)
    return root


def command(checkpoints: Path, out: Path) -> list[str]:
    return [
        "analyze", str(checkpoints), "--layout", LAYOUT, "--set", "fourier.period=5", "--out", str(out), "--json"
    ]  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(
    checkpoints: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, bytes], dict[str, int]]:
    """The bytes of a run that nobody killed, and the number of events in it."""
    out = tmp_path_factory.mktemp("whole") / "r.zarr"
    result = grokprobe_killed(("never", 0), *command(checkpoints, out))
    assert result.returncode == 0, result.stderr
    _, num_replaced, num_lines = result.stderr.splitlines()[-1].split()
    events = {"replace": int(num_replaced), "ledger": int(num_lines)}
    return tree_bytes(out), events


def num_measured(stdout: str) -> int:
    return sum(new for experiment in json.loads(stdout)["experiments"] for _, new in experiment["measured"].values())


@pytest.mark.parametrize(
    ("kind", "fraction"),
    [
        ("before", 0.1),
        ("after", 0.3),
        ("before", 0.5),
        ("after", 0.7),
        ("before", 0.95),
        ("after", 1.0),
        ("ledger", 0.25),
        ("ledger", 1.0),
    ],
)
def test_killed_and_repeated(
    checkpoints: Path,
    uninterrupted: tuple[dict[str, bytes], dict[str, int]],
    tmp_path: Path,
    kind: str,
    fraction: float,
) -> None:
    expected, events = uninterrupted
    number = max(1, round(fraction * events["ledger" if kind == "ledger" else "replace"]))
    out = tmp_path / "r.zarr"
    killed = grokprobe_killed((kind, number), *command(checkpoints, out))
    assert killed.returncode == -9, killed.stderr
    num_kept = sum(len(epochs) for _, epochs in kept_cells(out))

    again = grokprobe(*command(checkpoints, out))
    assert again.returncode == 0, again.stderr
    assert tree_bytes(out) == expected
    assert num_measured(again.stdout) == NUM_RESULTS - num_kept  # exactly what the ledger does not say is done
    if kind == "ledger":
        # every whole line is a finished cell: the kill cost the torn one alone
        assert len(list(kept_cells(out))) >= number - 1


def kept_cells(out: Path) -> list[tuple[str, list[int]]]:
    """Group and epochs of every whole line of the ledger of the first session."""
    lines = [
        line.partition(" ")[2]
        for path in sorted((out / ".grokprobe" / "ledger").glob("00000000-*.jsonl"))
        for line in path.read_text().split("\n")[:-1]
    ]
    return [(record["group"], record["epoch"]) for record in map(json.loads, lines)]


def test_published_store_opens_after_every_kill(checkpoints: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.zarr"
    assert grokprobe(*command(checkpoints, out), "--epochs", "0-20").returncode == 0
    killed = grokprobe_killed(("after", 25), *command(checkpoints, out))
    assert killed.returncode == -9
    script = f"import xarray; tree = xarray.open_datatree({str(out)!r}, engine='zarr').load()\n"
    script += "group = tree['checkpoints/probes/weights']\n"
    script += "print(group.sizes['epoch'], int((group['status'] == 1).sum()))"
    opened = run_python("-W", "error", "-c", script)
    assert opened.stdout.split() == ["21", "42"], opened.stderr
