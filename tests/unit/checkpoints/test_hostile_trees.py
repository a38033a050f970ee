"""Trees that a stranger might send: names of every kind, pipes that would be waited on, files that come and go."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from grokprobe.checkpoints import discover, read_checkpoint
from grokprobe.checkpoints.audit import audit_run
from grokprobe.errors import CheckpointError, NotACheckpointError
from program import grokprobe
from unit.checkpoints.test_sharded import write_sharded
from unit.checkpoints.trees import epochs, reasons, save


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_regular_file_is_not_opened(tmp_path, kind):
    path = tmp_path / "1.pt"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(NotACheckpointError, match=rf"^{path}: not a regular file$"):
        read_checkpoint(path)
    assert reasons(discover(path).skipped) == {"1.pt": "not a regular file"}
    outcome = grokprobe("info", str(path))
    assert (outcome.returncode, outcome.stderr.count("not a regular file")) == (2, 1)


@pytest.mark.parametrize("name", ["run.json", "grokprobe.toml", "model.safetensors.index.json", ".metadata"])
def test_a_pipe_under_a_name_that_is_looked_for(tmp_path, name):
    save(tmp_path / "run" / "1.pt")
    (tmp_path / "run" / "__0_0.distcp").write_bytes(b"x")
    os.mkfifo(tmp_path / "run" / name)
    (run,) = discover(tmp_path).runs
    assert epochs(run) == [1]


LONG = "ü" * 121 + "-epoch_1.pt"


@pytest.mark.parametrize("name", [LONG, "epoch_1 (copy)\n.pt", "épöque epoch_1.pt", "epoch_1.PT", "-epoch_1.pt"])
def test_odd_names(tmp_path, name):
    assert len(LONG.encode()) <= 255
    save(tmp_path / name)
    (run,) = discover(tmp_path).runs
    assert epochs(run) == [1]
    assert audit_run(run) == ()


def test_names_that_are_no_text(tmp_path):
    tree = Path(os.fsdecode(os.fsencode(tmp_path) + b"/run\xff"))
    path = tree / os.fsdecode(b"epoch_1_\xff\xfe.pt")
    save(path)
    path.with_name(os.fsdecode(b"broken_\xff.pt")).write_bytes(b"PK\x03\x04")
    assert epochs(discover(tree).runs[0]) == [1]
    outcome = grokprobe("info", tree)
    assert outcome.returncode == 3
    assert "/run\\udcff  unknown" in outcome.stdout
    assert "/run\\udcff/broken_\\udcff.pt: a truncated or damaged zip archive" in outcome.stderr


def test_names_that_deceive(tmp_path):
    (tmp_path / "1.pt").mkdir()
    (tmp_path / "2.safetensors").write_text("lr 0.1")
    save_file({"weight": torch.ones(2)}, tmp_path / "3.pt")
    torch.save({"weight": torch.ones(2)}, tmp_path / "4.safetensors")
    found = discover(tmp_path)
    assert epochs(found.runs[0]) == [3, 4]
    assert list(reasons(found.skipped)) == ["2.safetensors"]


class Deleting:
    """Deletes the files of a run while it is listened to."""

    def __init__(self, *paths):
        self.paths = list(paths)

    def start(self, description, total):
        pass

    def advance(self, num_units=1, note=""):
        if self.paths:
            self.paths.pop(0).unlink()

    def finish(self):
        pass


def test_a_file_that_goes_between_listing_and_reading(tmp_path):
    for epoch in range(3):
        save(tmp_path / f"{epoch}.pt", epoch)
    found = discover(tmp_path, progress=Deleting(tmp_path / "1.pt"))
    assert [checkpoint.problem for checkpoint in found.runs[0].checkpoints] == [
        "", "cannot be opened: No such file or directory", "",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_shard_that_goes_or_shrinks_after_its_header_was_read(tmp_path, kind):
    for change in (lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:90])):
        parameters = read_checkpoint(write_sharded(tmp_path, kind=kind)).parameters
        shard = next(tmp_path.glob(f"model-00001*.{kind}"))
        change(shard)
        with pytest.raises(CheckpointError, match=rf"^{shard}: [^\n]+$"):
            dict(parameters)


def test_a_shard_that_is_rewritten_while_it_is_audited(tmp_path, monkeypatch):
    write_sharded(tmp_path / "checkpoint-1")
    (run,) = discover(tmp_path).runs
    shard = run.checkpoints[0].parts[1]
    finite = torch.isfinite

    def rewrite(block):
        save_file({"b.weight": torch.zeros(3), "b.count": torch.tensor(3)}, shard)
        os.utime(shard, ns=(1, 1))
        return finite(block)

    monkeypatch.setattr(torch, "isfinite", rewrite)
    assert any("changed while it was read" in line for line in audit_run(run))
