"""``grokprobe verify`` and ``grokprobe compact``, as a user runs them."""

import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from program import grokprobe, tree_bytes
from strangers import write_stranger_run

GEOMETRY = "checkpoints/geometry/euclidean"


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        write_stranger_run(root / f"seed_{seed}", list(range(34)), p=5, width=4, seed=seed)
    measures = ("--probes", "fourier,weights", "--geometry", "euclidean", "--set", "fourier.period=5")
    return ("analyze", str(root), "--layout", "seed_{seed}/{epoch}.pth", *measures)


@pytest.fixture(scope="module")
def whole(command: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "r.zarr"
    assert grokprobe(*command, "--epochs", "0-20", "--out", path).returncode == 0
    assert grokprobe(*command, "--out", path).returncode == 0
    return path


def num_measured(stdout: str) -> dict[str, int]:
    (experiment,) = json.loads(stdout)["experiments"]
    return {group: new for group, (_, new) in experiment["measured"].items()}


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


def test_a_whole_store(whole: Path) -> None:
    result = grokprobe("verify", whole)
    assert result.returncode == 0
    assert result.stdout == f"{whole}: 4 groups, 206 results, 125 chunks: nothing bad\n"
    assert result.stderr == ""
    assert json.loads(grokprobe("verify", whole, "--json").stdout)["faults"] == []


@pytest.mark.parametrize(
    ("name", "bit", "where", "num_again"),
    [
        ("probes/fourier/ipr", 0, "seed 1 init_scale 1 epochs 0-31", {"probes/fourier": 32}),
        ("probes/weights/status", 36, "seed 1 init_scale 1 epochs 0-31", {"probes/weights": 32}),
        ("geometry/euclidean/path_length", 101, "seed 1 init_scale 1 epochs 0-31", {"geometry/euclidean": 32}),
        ("summary/geometry.euclidean.period_start", 47, "seed 1 init_scale 1", {}),
    ],
)
def test_a_flipped_bit_is_named_and_measured_again(
    whole: Path, command: tuple[str, ...], tmp_path: Path, name: str, bit: int, where: str, num_again: dict[str, int]
) -> None:
    out = tmp_path / "r.zarr"
    shutil.copytree(whole, out)
    chunk = out / "checkpoints" / name / "c" / "1" / "0"
    flip(next(file for file in sorted([chunk, *chunk.rglob("*")]) if file.is_file()), bit)
    result = grokprobe("verify", out)
    assert result.returncode == 3
    group, _, variable = name.rpartition("/")
    line, total, advice = result.stdout.splitlines()
    assert line.startswith(f"bad: checkpoints/{group} {variable} {where}: its chunk cannot be decoded: ")
    assert total.endswith(": 1 bad")
    assert advice.startswith(f"To mend it: grokprobe verify --repair {out}, then")

    repaired = grokprobe("verify", out, "--repair")
    assert repaired.returncode == 3
    assert repaired.stdout.splitlines()[-1].startswith("What was bad is marked as missing.")
    assert grokprobe("verify", out).returncode == 0
    again = grokprobe(*command, "--out", out, "--json")
    assert again.returncode == 0, again.stderr
    assert {group: new for group, new in num_measured(again.stdout).items() if new} == num_again
    assert tree_bytes(out) == tree_bytes(whole)


def test_damage_is_no_bug_of_whoever_reads_it(whole: Path, command: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "r.zarr"
    shutil.copytree(whole, out)
    flip(out / GEOMETRY / "status" / "c" / "0" / "0" / "0", 100)
    for arguments in (("info", out), ("report", out, "--out", tmp_path / "report.html"), (*command, "--out", out)):
        result = grokprobe(*arguments)
        assert result.returncode == 3, arguments
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert "cannot be decoded: Stored and computed checksum do not match" in line
        assert "grokprobe verify" in line


def test_compact_changes_no_value_and_says_what_it_saved(whole: Path, command: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "r.zarr"
    shutil.copytree(whole, out)
    result = grokprobe("compact", out)
    assert result.returncode == 0
    ledger, leftovers, saved = result.stdout.splitlines()
    assert ledger.startswith("ledger: 2 files, ")
    assert " -> 1 files, " in ledger
    assert leftovers == "leftovers of killed processes: 0 files, 0 bytes removed"
    assert saved.startswith(f"{out}: ")
    assert tree_bytes(out) == tree_bytes(whole)
    again = grokprobe(*command, "--out", out, "--json")
    assert set(num_measured(again.stdout).values()) == {0}
    assert tree_bytes(out) == tree_bytes(whole)
    assert json.loads(grokprobe("compact", out, "--json").stdout)["saved_bytes"] >= 0


@pytest.mark.parametrize("verb", ["verify", "compact"])
def test_a_store_that_is_locked_or_is_none(whole: Path, tmp_path: Path, verb: str) -> None:
    out = tmp_path / "r.zarr"
    shutil.copytree(whole, out)
    with FileLock(out / ".grokprobe" / "lock"):
        result = grokprobe(verb, out)
    assert result.returncode == 5
    assert result.stderr.startswith(f"Error: {out} is being written by another process; wait until it ends")
    assert grokprobe(verb, tmp_path / "nowhere").returncode == 2
    assert grokprobe(verb, tmp_path).returncode == 2
