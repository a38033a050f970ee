"""Runs are found in a tree by their headers alone."""

import pytest
import torch
from safetensors.torch import save_file

from grokprobe.checkpoints import Reading, discover, lazy_tensors, read_checkpoint, stored_tensors
from grokprobe.errors import UsageError
from unit.checkpoints.trees import epochs, faults, reasons, save


def test_a_directory_is_a_run(tmp_path):
    for scale in (10, 2):
        for epoch in (100, 20, 3):
            save(tmp_path / f"scale_{scale}" / f"epoch-{epoch:03d}.pt", epoch)
    found = discover(tmp_path)
    assert [run.path.name for run in found.runs] == ["scale_2", "scale_10"]
    run = found.runs[0]
    assert epochs(run) == [3, 20, 100]
    assert (run.seed, run.init_scale, run.recipe, run.split, run.is_native) == (None, None, None, None, False)
    assert (run.parameters, run.sources, run.epoch_units) == ({}, {"epoch": "file name"}, "epochs")
    assert run.shapes == {"weight": (2, 3)}
    status = (tmp_path / "scale_2" / "epoch-003.pt").stat()
    first = run.checkpoints[0]
    assert (first.size, first.modified_ns, first.problem) == (status.st_size, status.st_mtime_ns, "")
    assert [*found.skipped, *faults(found)] == []


def test_one_file(tmp_path):
    save(tmp_path / "1.pt")
    save(tmp_path / "2.pt", 1)
    (run,) = discover(tmp_path / "2.pt").runs
    assert (run.path, epochs(run)) == (tmp_path, [2])


def test_names_with_brackets_and_colons(tmp_path):
    directory = tmp_path / "hidden_[512]_14:38:41" / "wd_*_?"
    save(directory / "12.pth")
    assert [run.path for run in discover(tmp_path).runs] == [directory]
    (run,) = discover(tmp_path, layout="hidden_[{width}]_{_}:{_}:{run}/wd_*_?/{epoch}.pth").runs
    assert run.parameters == {"run": {"width": 512}}


def test_key_of_the_user(tmp_path):
    torch.save({"g": {"w": torch.zeros(1)}, "d": {"w": torch.zeros(2)}, "epoch": 1}, tmp_path / "a.pt")
    assert "run.state_dict" in discover(tmp_path).skipped[0].reason
    assert discover(tmp_path, reading=Reading(state_dict_key="d")).runs[0].shapes == {"w": (2,)}


class Recorder:
    def __init__(self):
        self.total, self.done, self.is_finished = 0, 0, False

    def start(self, description, total):
        self.total = total

    def advance(self, num_units=1, note=""):
        self.done += num_units

    def finish(self):
        self.is_finished = True


def test_progress(tmp_path):
    for epoch in range(3):
        save(tmp_path / f"{epoch}.pt", epoch)
    recorder = Recorder()
    discover(tmp_path, progress=recorder)
    assert (recorder.total, recorder.done, recorder.is_finished) == (3, 3, True)


def test_nothing_there(tmp_path):
    with pytest.raises(UsageError, match="found nothing at"):
        discover(tmp_path / "x")


def test_no_tensor_is_read(tmp_path, monkeypatch):
    def refuse(path, start, num_bytes):
        raise AssertionError(f"{num_bytes} bytes of {path} are read")

    monkeypatch.setattr(lazy_tensors, "read_bytes", refuse)
    monkeypatch.setattr(stored_tensors, "read_bytes", refuse)
    save(tmp_path / "0.pt")
    save_file({"weight": torch.ones(2, 3)}, tmp_path / "1.safetensors")
    (run,) = discover(tmp_path).runs
    assert epochs(run) == [0, 1]
    for checkpoint in run.checkpoints:
        with pytest.raises(AssertionError, match="24 bytes"):
            dict(read_checkpoint(checkpoint.path).parameters)


def test_real_checkpoints(shared_data):
    layout = "p_{p}_dmlp_{width}_{act}_{init}_scale_{init_scale}_decay_{weight_decay}_{run}/{epoch}.pth"
    found = discover(shared_data / "third-party", layout=layout)
    (run,) = found.runs
    assert epochs(run) == list(range(0, 10001, 200))
    assert run.init_scale == 0.1
    assert run.parameters["run"]["p"] == 23
    assert run.shapes["mlp.W_in"] == (512, 23)
    assert list(reasons(found.skipped)) == ["test_data.pth", "train_data.pth"]
    assert faults(found) == []


def test_whole_runs_in_one_file(shared_data):
    found = discover(shared_data / "authors-format")
    assert [*found.refused, *found.unreadable] == []
    assert {run.path.name: epochs(run) for run in found.runs} == {
        "plain": list(range(13)),
        "onerun.pt": list(range(13)),
        "save_blob.pt": [0, 1, *range(51, 402, 50)],
    }
