"""What looks wrong in a run is said, one line each; a sound run says nothing."""

import os

import pytest
import torch

from grokprobe.checkpoints import discover
from grokprobe.checkpoints.audit import audit_run
from unit.checkpoints.authors_blob import write_blob


def write_run(directory, epochs, change=lambda _epoch, _weights: None, **fields):
    """Writes a checkpoint an epoch, its parameters changed by ``change``; fields are functions of the epoch."""
    directory.mkdir(exist_ok=True)
    for epoch in epochs:
        generator = torch.Generator().manual_seed(epoch)
        weights = {"a.weight": torch.randn(3, 2, generator=generator), "a.bias": torch.randn(3, generator=generator)}
        change(epoch, weights)
        own = {name: value(epoch) for name, value in fields.items()}
        torch.save({"model": weights, **own}, directory / f"epoch_{epoch}.pt")


def audit(directory):
    (run,) = discover(directory).runs
    return audit_run(run)


@pytest.mark.parametrize("epochs", [range(5), [0, 1, 2, 3, 100, 200], [0, 100, 200, 201, 202], [3], [0, 10]])
def test_a_sound_run_says_nothing(tmp_path, epochs):
    write_run(tmp_path, epochs, epoch=lambda epoch: epoch, global_step=lambda epoch: 7 * epoch)
    assert audit(tmp_path) == ()


def test_a_whole_run_in_one_file_says_nothing(tmp_path):
    write_blob(tmp_path / "save.pt", "modular_addition")
    assert audit(tmp_path) == ()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e5m2])
def test_values_that_are_not_finite(tmp_path, value, dtype):
    def spoil(epoch, weights):
        if epoch > 2:
            weights["a.bias"] = torch.tensor([1.0, value]).to(dtype)
        else:
            weights["a.bias"] = torch.tensor([1.0, float(epoch)]).to(dtype)

    write_run(tmp_path, range(5), spoil)
    assert audit(tmp_path) == ("epochs 3, 4: NaN or infinite values in a.bias",)


def test_equal_parameters_under_two_epochs(tmp_path):
    def repeat(epoch, weights):
        if epoch in (1, 3):
            weights |= {"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(3)}

    write_run(tmp_path, range(5), repeat)
    assert audit(tmp_path) == ("epochs 1, 3: the same parameters, bit for bit",)


def test_a_name_of_several_lines_stays_on_one(tmp_path):
    write_run(tmp_path, [0], lambda _epoch, weights: weights.update({"a\nb": torch.tensor([torch.nan])}))
    assert audit(tmp_path) == (r"epoch 0: NaN or infinite values in 'a\nb'",)


def test_zeros_of_either_sign_differ(tmp_path):
    write_run(tmp_path, range(2), lambda epoch, weights: weights.update({"a.weight": torch.full((1,), 0.0), "a.bias":
        torch.tensor([-0.0 if epoch else 0.0])}))  # fmt: skip
    assert audit(tmp_path) == ()


def test_shapes_that_change_along_the_run(tmp_path):
    def change(epoch, weights):
        if epoch > 0:
            weights["a.bias"] = torch.randn(4)
            weights["b"] = torch.randn(1)
        if epoch == 3:
            del weights["a.weight"]

    write_run(tmp_path, range(4), change)
    assert set(audit(tmp_path)) == {
        "epochs 1, 2, 3: tensor a.bias is (4,) and (3,) in the first",
        "epochs 1, 2, 3: tensor b is (1,) and not there in the first",
        "epoch 3: tensor a.weight is not there and (3, 2) in the first",
    }


def test_many_changes_are_counted(tmp_path):
    write_run(
        tmp_path, range(2), lambda epoch, weights: weights.update({f"n{k}": torch.randn(epoch + 1) for k in range(9)})
    )
    assert audit(tmp_path)[-1] == "5 more tensors change along the run"


def test_gaps(tmp_path):
    write_run(tmp_path, [0, 100, 200, 400, 500, 600])
    assert audit(tmp_path) == (
        "epochs 200 to 400: 200 apart, the checkpoints before 100 and after 100; some seem to be missing",
    )


def test_steps_that_fall(tmp_path):
    write_run(tmp_path, range(3), global_step=lambda epoch: [10, 30, 20][epoch])
    assert audit(tmp_path) == ("epoch 2: 20 optimizer steps, fewer than the 30 of epoch 1",)


def test_names_that_say_one_epoch_more_than_the_files(tmp_path):
    write_run(tmp_path, [1, 2, 3], epoch=lambda epoch: epoch - 1)
    (line,) = audit(tmp_path)
    assert line.startswith("the names say one epoch more than the files")


@pytest.mark.parametrize("epochs", [[0], [0, 1, 4], [2, 5]])
def test_steps_of_one_epoch_more(tmp_path, epochs):
    write_run(tmp_path, epochs, epoch=lambda epoch: epoch, global_step=lambda epoch: 12 * (epoch + 1))
    (line,) = audit(tmp_path)
    assert line.startswith(
        f"epoch {epochs[0]} has {12 * (epochs[0] + 1)} optimizer steps behind it, as after one epoch more"
    )


def test_a_file_that_changes_or_goes(tmp_path):
    write_run(tmp_path, range(3))
    (run,) = discover(tmp_path).runs
    os.utime(tmp_path / "epoch_1.pt", ns=(1, 1))
    (tmp_path / "epoch_2.pt").unlink()
    changed, gone = audit_run(run)
    assert changed == "epoch_1.pt changed while it was read; look again when nobody writes to it"
    assert gone.startswith("epoch 2: it could be read before and cannot now")


def test_what_cannot_be_read_is_left_out(tmp_path):
    write_run(tmp_path, range(3))
    (tmp_path / "epoch_1.pt").write_bytes(b"")
    assert audit(tmp_path) == ()
