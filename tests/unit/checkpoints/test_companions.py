from pathlib import Path

import pytest
import torch

from grokprobe.checkpoints import discover
from grokprobe.checkpoints.companions import describe_companion
from unit.checkpoints.hostile import write_unsafe


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("a/optimizer.pt", "the state of an optimizer"),
        ("a/rng_state_3.pth", "states of random generators"),
        ("fims/epoch-12.pt", "the diagonal of a Fisher matrix"),
        ("a/fim_prune_loss_acc_None-pruned.pt", "losses and accuracies of a pruned network"),
    ],
)
def test_names(name, meaning):
    assert describe_companion(Path("/x") / name) == f"{meaning}, no parameters"


@pytest.mark.parametrize("name", ["a/epoch-12.pt", "a/my_optimizer.pt", "fims/epoch-x.pt", "a/optimizer.pt.bak"])
def test_other_names_say_nothing(name):
    assert describe_companion(Path(name)) == ""


def test_they_are_skipped_and_not_executed(tmp_path):
    write_unsafe(tmp_path / "training_args.bin", tmp_path / "canary", "zip")
    torch.save(torch.ones(5), tmp_path / "scaler.pt")
    found = discover(tmp_path)
    assert [file.reason for file in found.skipped] == [
        "the state of a gradient scaler, no parameters", "the arguments of a Hugging Face trainer, no parameters",
    ]  # fmt: skip
    assert found.refused == ()
    assert not (tmp_path / "canary").exists()


def test_a_checkpoint_of_such_a_name_is_a_checkpoint(tmp_path):
    torch.save({"w": torch.ones(2), "epoch": 3}, tmp_path / "optimizer.pt")
    assert discover(tmp_path).runs[0].checkpoints[0].epoch == 3
