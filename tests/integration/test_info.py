"""``grokprobe info`` on checkpoints, as a user runs it."""

import json
from pathlib import Path

import torch

from program import grokprobe
from unit.checkpoints.authors_blob import write_blob
from unit.checkpoints.hostile import Touch


def test_a_tree_is_audited(tmp_path: Path) -> None:
    for epoch in range(3):
        torch.save({"w": torch.full((2,), float(epoch > 0))}, tmp_path / f"epoch_{epoch}.pt")
    result = grokprobe("info", tmp_path)
    assert result.returncode == 0
    assert result.stderr == f"audit: {tmp_path}: epochs 1, 2: the same parameters, bit for bit\n"
    assert grokprobe("info", tmp_path, "--no-audit").stderr == ""
    assert json.loads(grokprobe("info", tmp_path, "--json").stdout)["audit"] == [
        f"{tmp_path}: epochs 1, 2: the same parameters, bit for bit"
    ]


def test_what_a_file_names_is_shown_and_not_executed(tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.ones(2)}, "args": Touch(tmp_path / "canary")}, tmp_path / "1.pt")
    result = grokprobe("info", tmp_path / "1.pt")
    assert result.stdout.splitlines()[-1] == "named in the file, neither imported nor called: posix.system"
    assert json.loads(grokprobe("info", tmp_path / "1.pt", "--json").stdout)["unread"] == ["posix.system"]
    assert not (tmp_path / "canary").exists()


def test_a_whole_run_in_one_file(tmp_path: Path) -> None:
    truth = write_blob(tmp_path / "save.pt", "modular_addition", num_epochs=2)
    result = grokprobe("info", tmp_path / "save.pt")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"{tmp_path / 'save.pt'}: a whole run, seed 2, init_scale 3"
    assert "  task.p = 5" in lines
    assert lines[-1].split() == ["models.1", "2", "readable"]
    found = json.loads(grokprobe("info", tmp_path / "save.pt", "--json").stdout)
    assert found["logged"] == truth["log"]
    assert [checkpoint["epoch"] for checkpoint in found["runs"][0]["checkpoints"]] == [0, 1, 2]
