"""SIGKILL at chosen moments inside store writes; the same command again gives the same bytes."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from program import grokprobe, grokprobe_killed, run_python, tree_bytes
from strangers import write_stranger_run

#: Where in the sequence of events of an uninterrupted run the process is killed.
MOMENTS = [
    ("before", 0.1),
    ("after", 0.3),
    ("before", 0.5),
    ("after", 0.7),
    ("before", 0.95),
    ("after", 1.0),
    ("ledger", 0.25),
    ("ledger", 1.0),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A command, and what it does when nobody kills it."""

    arguments: tuple[str, ...]
    #: Arguments of a call before it, which makes a store for the command to grow; empty for a new store.
    before: tuple[str, ...]
    #: The bytes of the store afterwards.
    expected: dict[str, bytes]
    #: Renames and ledger lines.
    events: dict[str, int]
    #: Results measured.
    num_measured: int


def build_case(directory: Path, arguments: tuple[str, ...], before: tuple[str, ...] = ()) -> Case:
    out = directory / "whole.zarr"
    if before:
        assert grokprobe(*arguments, *before, "--out", out).returncode == 0
    result = grokprobe_killed(("never", 0), *arguments, "--json", "--out", out)
    assert result.returncode == 0, result.stderr
    _, num_replaced, num_lines = result.stderr.splitlines()[-1].split()
    return Case(
        arguments=arguments,
        before=before,
        expected=tree_bytes(out),
        events={"replace": int(num_replaced), "ledger": int(num_lines)},
        num_measured=num_measured(result.stdout),
    )


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        write_stranger_run(root / "stranger" / f"seed_{seed}", list(range(40)), p=5, width=4, seed=seed)
    settings = ("--set", "task.p=5", "--set", "model.hidden=6", "--epochs", "40")
    trained = grokprobe("train", "modular_addition/demo", *settings, "--jobs", "1", "--out", root / "native")
    assert trained.returncode == 0, trained.stderr
    stranger = (
        "analyze", str(root / "stranger"), "--layout", "seed_{seed}/{epoch}.pth", "--set", "fourier.period=5"
    )  # fmt: skip
    return {
        "a stranger's runs": build_case(tmp_path_factory.mktemp("a"), stranger),
        "a store that grows": build_case(tmp_path_factory.mktemp("b"), stranger, ("--epochs", "7-20")),
        "native runs": build_case(tmp_path_factory.mktemp("c"), ("analyze", str(root / "native"))),
    }


@pytest.mark.parametrize("name", ["a stranger's runs", "a store that grows", "native runs"])
@pytest.mark.parametrize(("kind", "fraction"), MOMENTS)
def test_killed_and_repeated(cases: dict[str, Case], tmp_path: Path, name: str, kind: str, fraction: float) -> None:
    case = cases[name]
    out = tmp_path / "r.zarr"
    if case.before:
        assert grokprobe(*case.arguments, *case.before, "--out", out).returncode == 0
    number = max(1, round(fraction * case.events["ledger" if kind == "ledger" else "replace"]))
    generation = len(ledger_files(out))
    killed = grokprobe_killed((kind, number), *case.arguments, "--out", out)
    assert killed.returncode == -9, killed.stderr
    kept = [line for path in ledger_files(out)[generation:] for line in whole_lines(path)]

    again = grokprobe(*case.arguments, "--out", out, "--json")
    assert again.returncode == 0, again.stderr
    assert tree_bytes(out) == case.expected
    # exactly what no whole line of the ledger says is done is measured again; a line about a run's history holds none
    num_kept = sum(len(line["epoch"]) for line in kept if line["epoch"] != [-1])
    assert num_measured(again.stdout) == case.num_measured - num_kept
    if kind == "ledger":
        assert len(kept) == number - 1  # the kill cost the cell in flight alone


def test_published_store_opens_after_a_kill_in_growth(cases: dict[str, Case], tmp_path: Path) -> None:
    case = cases["a store that grows"]
    out = tmp_path / "r.zarr"
    assert grokprobe(*case.arguments, *case.before, "--out", out).returncode == 0
    assert grokprobe_killed(("after", 25), *case.arguments, "--out", out).returncode == -9
    script = f"import xarray; tree = xarray.open_datatree({str(out)!r}, engine='zarr').load()\n"
    script += "group = tree['checkpoints/probes/weights']\n"
    script += "print(group.sizes['epoch'], int((group['status'] == 1).sum()))"
    opened = run_python("-W", "error", "-c", script)
    assert opened.stdout.split() == ["14", "28"], opened.stderr


def num_measured(stdout: str) -> int:
    return sum(new for experiment in json.loads(stdout)["experiments"] for _, new in experiment["measured"].values())


def ledger_files(out: Path) -> list[Path]:
    return sorted((out / ".grokprobe" / "ledger").glob("*.jsonl"))


def whole_lines(path: Path) -> list[dict[str, list[int]]]:
    return [json.loads(line.partition(" ")[2]) for line in path.read_text().split("\n")[:-1]]
