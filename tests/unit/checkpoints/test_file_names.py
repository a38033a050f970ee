from pathlib import Path

import pytest

from grokprobe.checkpoints.file_names import is_shard, read_file_name


@pytest.mark.parametrize(
    ("path", "epoch", "step", "run_path"),
    [
        ("r/epoch-012.pt", 12, None, "r"),
        ("r/epoch_12", 12, None, "r"),
        ("r/epoch12.safetensors", 12, None, "r"),
        ("r/model_Epoch_12.pt", 12, None, "r"),
        ("r/12.pth", 12, None, "r"),
        ("r/0.pt", 0, None, "r"),
        ("r/checkpoint-500", None, 500, "r"),
        ("r/model_checkpoint_500.pt", None, 500, "r"),
        ("r/step_500.pt", None, 500, "r"),
        ("r/model_step_500", None, 500, "r"),
        ("r/global_step500.pt", None, 500, "r"),
        ("r/epoch=3-step=100.ckpt", 3, 100, "r"),
        ("r/checkpoint-500/model.safetensors", None, 500, "r/checkpoint-{step}/model.safetensors"),
        ("r/step_500/x.pt", None, 500, "r/step_{step}/x.pt"),
        ("r/epoch_12/model.pt", 12, None, "r/epoch_{epoch}/model.pt"),
        ("r/step_500/epoch_3.pt", 3, None, "r/step_500"),
        ("r/7/model.pt", None, None, "r/7"),
        ("r/final.pt", None, None, "r"),
        ("r/myepoch12.pt", None, None, "r"),
        ("r/resnet50.pt", None, None, "r"),
        ("r/epoch.pt", None, None, "r"),
    ],
)
def test_reads(path, epoch, step, run_path):
    named = read_file_name(Path(path))
    assert (named.epoch, named.step, named.run_path) == (epoch, step, Path(run_path))


def test_a_number_after_checkpoint_is_a_guess():
    assert read_file_name(Path("checkpoint-5.pt")).is_guess
    assert not read_file_name(Path("step-5.pt")).is_guess


def test_parts_of_a_checkpoint():
    assert is_shard(Path("model-00001-of-00003.safetensors"))
    assert not is_shard(Path("model-00001.safetensors"))
