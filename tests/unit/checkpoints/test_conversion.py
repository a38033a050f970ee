"""Whatever can be read can be written again as safetensors: same parameters, same coordinates, same results."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import grokprobe
from grokprobe.checkpoints import discover, read_checkpoint
from grokprobe.checkpoints.conversion import convert
from grokprobe.checkpoints.native import RunManifest, checkpoint_path, write_manifest, write_tensors
from grokprobe.errors import StoreWriteError, UsageError
from unit.checkpoints.authors_blob import write_blob
from unit.checkpoints.distributed_files import write_distributed
from unit.checkpoints.hostile import write_unsafe
from unit.checkpoints.test_sharded import write_sharded


def save(path, **fields):
    path.parent.mkdir(parents=True, exist_ok=True)
    shared = torch.arange(6.0).reshape(2, 3)
    weights = {"w": shared, "tied": shared, "half": torch.ones(2).bfloat16(), "count": torch.tensor(3)}
    torch.save({"model": weights, **fields}, path)


def check_same(run, converted):
    assert (converted.seed, converted.init_scale, converted.epoch_units) == (run.seed, run.init_scale, run.epoch_units)
    assert converted.parameters == run.parameters
    assert not converted.is_native
    assert [ref.epoch for ref in converted.checkpoints] == [ref.epoch for ref in run.checkpoints]
    for old, new in zip(run.checkpoints, converted.checkpoints, strict=True):
        before = read_checkpoint(old.path, member=old.member).parameters
        after = read_checkpoint(new.path).parameters
        assert {name: tensor.dtype for name, tensor in after.items()} == {n: t.dtype for n, t in before.items()}
        assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_a_tree_with_a_layout_and_a_manifest(tmp_path):
    for seed in (0, 1):
        for epoch in (3, 12):
            save(tmp_path / "in" / f"s[{seed}]" / f"{epoch}.pt", step=epoch)
    (tmp_path / "in" / "grokprobe.toml").write_text('init_scale = 2\nsplit = "seed:5"\n[task]\nname = "ising"\n')
    layout = "s[{seed}]/{epoch}.pt"
    report = convert(tmp_path / "in", tmp_path / "out", layout=layout)
    assert [(run.directory, run.num_checkpoints) for run in report.runs] == [
        (tmp_path / "out" / f"s[{seed}]", 2) for seed in (0, 1)
    ]
    assert report.failures == ()
    assert any("left out: count" in notice for notice in report.notices)
    before, after = discover(tmp_path / "in", layout=layout), discover(tmp_path / "out")
    for run, converted in zip(before.runs, after.runs, strict=True):
        check_same(run, converted)
        assert converted.split == "seed:5"
        assert converted.sources == dict.fromkeys(("seed", "init_scale", "split", "epoch"), "conversion")
    written = tmp_path / "out" / "s[0]" / "epoch-000003.safetensors"
    assert list(read_checkpoint(written).parameters) == ["w", "tied", "half"]
    assert set(load_file(written)) == {"w", "tied", "half"}
    assert after.skipped == ()


@pytest.mark.parametrize("task", ["modular_addition", "ising"])
def test_a_whole_run_gives_the_same_results(tmp_path, task):
    path = tmp_path / "in" / "save.pt"
    path.parent.mkdir()
    truth = write_blob(path, task, num_epochs=2)
    convert(path, tmp_path / "out")
    (run,), (converted,) = discover(path).runs, discover(tmp_path / "out").runs
    check_same(run, converted)
    assert json.loads((converted.path / "original_log.json").read_text()) == truth["log"]
    shutil.rmtree(tmp_path / "in")  # it needs nothing of what it was made from
    histories = []
    report = grokprobe.analyze(tmp_path / "out", out=tmp_path / "r.zarr", probes=["weights"])
    assert report.failures == ()
    (experiment,) = grokprobe.open_results(tmp_path / "r.zarr").children.values()
    histories = experiment["history"].test_loss.values.ravel()
    assert np.allclose(histories[1:], truth["log"]["test_losses"], rtol=1e-5)


def test_several_files_become_one(tmp_path):
    write_sharded(tmp_path / "in" / "hf" / "checkpoint-7")
    write_distributed(tmp_path / "in" / "dcp" / "step_9", {"w": torch.arange(8.0)})
    report = convert(tmp_path / "in", tmp_path / "out")
    assert len(report.runs) == 2
    found = {run.path.parent.parent.name: run for run in discover(tmp_path / "out").runs}
    assert {name: [ref.epoch for ref in run.checkpoints] for name, run in found.items()} == {"hf": [7], "dcp": [9]}
    assert {run.epoch_units for run in found.values()} == {"steps"}
    assert torch.equal(read_checkpoint(found["dcp"].checkpoints[0].path).parameters["w"], torch.arange(8.0))


def test_indices_come_along(tmp_path):
    save(tmp_path / "in" / "1.pt")
    (tmp_path / "in" / "parts.json").write_text('{"train": [0, 2], "test": [1]}')
    (tmp_path / "in" / "grokprobe.toml").write_text('split = "indices:parts.json"')
    convert(tmp_path / "in", tmp_path / "out")
    (run,) = discover(tmp_path / "out").runs
    assert run.split == f"indices:{run.path / 'split.json'}"
    assert json.loads((run.path / "split.json").read_text()) == {"train": [0, 2], "test": [1]}
    (tmp_path / "in" / "parts.json").unlink()
    with pytest.raises(UsageError, match="expected the indices of a split"):
        convert(tmp_path / "in", tmp_path / "other")


def test_what_cannot_be_read_is_said_and_the_rest_is_written(tmp_path):
    save(tmp_path / "in" / "1.pt")
    write_unsafe(tmp_path / "in" / "2.pt", tmp_path / "canary", "zip")
    torch.save({"__metadata__": torch.ones(2)}, tmp_path / "in" / "3.pt")
    report = convert(tmp_path / "in", tmp_path / "out")
    assert [run.num_checkpoints for run in report.runs] == [1]
    unsafe, reserved = report.failures
    assert "2.pt: refused as unsafe" in unsafe
    assert "3.pt: a parameter is called __metadata__" in reserved
    assert not (tmp_path / "canary").exists()


def test_names_that_fall_together_stay_apart(tmp_path):
    for name in ("a b", "a_b", ".hidden"):
        save(tmp_path / "in" / "x" / name / "1.pt")
    report = convert(tmp_path / "in", tmp_path / "out")
    assert [run.directory.name for run in report.runs] == ["a_b", "a_b-2"]


def test_where_it_does_not_write(tmp_path):
    save(tmp_path / "in" / "1.pt")
    with pytest.raises(UsageError, match="expected a new or empty directory"):
        convert(tmp_path / "in", tmp_path / "in")
    (tmp_path / "empty").mkdir()
    assert convert(tmp_path / "in", tmp_path / "empty").runs
    (tmp_path / "file").touch()
    with pytest.raises(StoreWriteError, match="writing"):
        convert(tmp_path / "in", tmp_path / "file" / "out")


def test_a_native_run_stays_what_it_is(tmp_path):
    (tmp_path / "run").mkdir()
    manifest = RunManifest(recipe=None, parameters={}, seed=0, init_scale=1.0, schedule={})
    write_manifest(tmp_path / "run", manifest)
    write_tensors(checkpoint_path(tmp_path / "run", 0), {"w": torch.ones(1)}, {"epoch": "0"})
    with pytest.raises(UsageError, match="in safetensors files already"):
        convert(tmp_path / "run", tmp_path / "out")


def converted_run(tmp_path):
    for epoch in (1, 2):
        save(tmp_path / "in" / f"{epoch}.pt", epoch=epoch)
    convert(tmp_path / "in", tmp_path / "out")
    return tmp_path / "out" / "in"


def test_a_damaged_converted_run(tmp_path):
    directory = converted_run(tmp_path)
    (directory / "notes.txt").write_text("mine")
    checkpoint_path(directory, 2).write_bytes(b"")
    found = discover(directory)
    assert [bool(ref.problem) for ref in found.runs[0].checkpoints] == [False, True]
    assert [file.reason for file in found.skipped] == ["no part of the converted run it lies in"]
    checkpoint_path(directory, 1).write_bytes(b"")
    assert (discover(directory).runs, len(discover(directory).unreadable)) == ((), 2)
    manifest = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps(manifest | {"version": 2, "more": 1}))
    (problem,) = discover(directory).unreadable
    assert "version" in problem.reason
    assert "more" in problem.reason
