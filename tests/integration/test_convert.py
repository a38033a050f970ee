"""``grokprobe convert`` as a user runs it."""

from pathlib import Path

import torch

from program import grokprobe


def test_convert_then_analyze(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(4, 3), tmp_path / "in_epoch_5.pt")
    (tmp_path / "notes.txt").write_text("not one")
    done = grokprobe("convert", tmp_path, tmp_path / "out")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == ["run", "checkpoints", "from"]
    assert "notes.txt: not a checkpoint" in done.stderr
    (written,) = (tmp_path / "out").rglob("*.safetensors")
    assert written.name == "epoch-000005.safetensors"
    again = grokprobe("convert", tmp_path, tmp_path / "out")
    assert again.returncode == 2
    assert "expected a new or empty directory" in again.stderr


def test_nothing_to_convert(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not one")
    result = grokprobe("convert", tmp_path, tmp_path / "out")
    assert result.returncode == 2
    assert "no checkpoints in" in result.stderr
    (tmp_path / "1.pt").write_bytes(b"PK\x03\x04")
    result = grokprobe("convert", tmp_path, tmp_path / "out")
    assert result.returncode == 4
    assert "nothing could be converted" in result.stderr
