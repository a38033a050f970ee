"""Files that are no part of a run, or cannot be: each is named with its reason."""

import shutil

import pytest
import torch

from grokprobe.checkpoints import discover
from grokprobe.errors import UsageError
from unit.checkpoints.hostile import write_unsafe
from unit.checkpoints.trees import epochs, reasons, save


def test_without_an_epoch_it_is_skipped_with_advice(tmp_path):
    save(tmp_path / "final.pt")
    found = discover(tmp_path)
    assert found.runs == ()
    assert "--layout" in reasons(found.skipped)["final.pt"]
    assert "reads 'final'" in reasons(discover(tmp_path, layout="{epoch}.pt").skipped)["final.pt"]


def test_duplicates(tmp_path):
    save(tmp_path / "10.pt", 1)
    shutil.copy(tmp_path / "10.pt", tmp_path / "epoch-10.pt")
    save(tmp_path / "last.pt", 1, epoch=10, losses=[0.1])  # the same parameters with something beside them
    found = discover(tmp_path)
    assert [checkpoint.path.name for checkpoint in found.runs[0].checkpoints] == ["10.pt"]
    assert reasons(found.skipped) == dict.fromkeys(("epoch-10.pt", "last.pt"), f"duplicate of {tmp_path / '10.pt'}")


def test_two_checkpoints_of_one_epoch(tmp_path):
    save(tmp_path / "a_epoch_10.pt", 1)
    save(tmp_path / "b_epoch_10.pt", 2)
    with pytest.raises(UsageError, match=r"epoch 10: \S+/a_epoch_10\.pt and \S+/b_epoch_10\.pt;"):
        discover(tmp_path)
    assert len(discover(tmp_path, layout="{run}_epoch_{epoch}.pt").runs) == 2


def test_epochs_and_steps_are_never_mixed(tmp_path):
    for step in (10, 20):
        save(tmp_path / f"step_{step}.pt", step)
    save(tmp_path / "final.pt", 3, epoch=1)
    found = discover(tmp_path)
    assert epochs(found.runs[0]) == [10, 20]
    assert reasons(found.skipped) == {"final.pt": "says epochs, its run counts steps"}


def test_problems_with_a_known_epoch_stay_in_the_run(tmp_path):
    save(tmp_path / "1.pt")
    save(tmp_path / "2.pt", 2)
    (tmp_path / "2.pt").write_bytes((tmp_path / "2.pt").read_bytes()[:500])
    write_unsafe(tmp_path / "3.pt", tmp_path / "canary", "zip")
    write_unsafe(tmp_path / "other.pt", tmp_path / "canary", "zip")
    (tmp_path / "empty.pt").write_bytes(b"")
    found = discover(tmp_path)
    one, two, three = found.runs[0].checkpoints
    assert (one.problem, one.refused) == ("", False)
    assert "truncated" in two.problem
    assert not two.refused
    assert "refused as unsafe" in three.problem
    assert three.refused
    assert list(reasons(found.refused)) == ["other.pt"]
    assert reasons(found.unreadable) == {"empty.pt": "expected a checkpoint, found an empty file"}


def test_nothing_readable_is_no_run(tmp_path):
    (tmp_path / "1.pt").write_bytes(b"PK\x03\x04")
    write_unsafe(tmp_path / "2.pt", tmp_path / "canary", "zip")
    found = discover(tmp_path)
    assert found.runs == ()
    assert list(reasons(found.unreadable)) == ["1.pt"]
    assert list(reasons(found.refused)) == ["2.pt"]


def test_only_other_files(tmp_path):
    (tmp_path / "notes.md").write_text("# notes")
    found = discover(tmp_path)
    assert (found.runs, list(reasons(found.skipped))) == ((), ["notes.md"])


def test_parts_of_one_checkpoint_are_not_taken_for_whole(tmp_path):
    save(tmp_path / "checkpoint-5" / "model-00001-of-00002.safetensors")
    found = discover(tmp_path)
    assert found.runs == ()
    assert "one part of a checkpoint" in found.skipped[0].reason


def test_other_shapes_are_a_warning(tmp_path):
    save(tmp_path / "1.pt")
    torch.save({"weight": torch.zeros(5)}, tmp_path / "2.pt")
    found = discover(tmp_path)
    assert found.runs[0].shapes == {"weight": (2, 3)}
    assert "2.pt holds tensors of other names or shapes than 1.pt" in found.warnings[0]
