import json
import shutil

import pytest
import torch

from grokprobe.checkpoints import discover
from grokprobe.checkpoints.native import RunManifest, checkpoint_path, write_manifest, write_tensors
from grokprobe.errors import UsageError

PARAMETERS = {"task": {"name": "modular_addition", "p": 23}, "model": {"hidden": 8}, "optimizer": {"lr": 0.1}}


@pytest.fixture
def run_directory(tmp_path):
    directory = tmp_path / "seed-3_scale-0.1"
    directory.mkdir()
    manifest = RunManifest(recipe="modular_addition/paper", parameters=PARAMETERS, seed=3, init_scale=0.1, schedule={})
    write_manifest(directory, manifest)
    for epoch in (0, 5, 1_000_000):
        tensors = {"weight": torch.full((2, 2), float(epoch))}
        write_tensors(checkpoint_path(directory, epoch), tensors, {"epoch": str(epoch), "step": str(10 * epoch)})
    (directory / "history.jsonl").write_text('{"epoch": 0}\n')
    (directory / "resume.safetensors").write_bytes(b"anything")
    (directory / "epoch-000007.safetensors.partial").write_bytes(b"half")
    return directory


def test_says_everything_itself(run_directory):
    (run_directory.parent / "grokprobe.toml").write_text("seed = 9\ninit_scale = 9.0")
    found = discover(run_directory.parent, layout="seed-{init_scale}/{epoch}.pt")
    (run,) = found.runs
    assert (run.path, run.seed, run.init_scale, run.split) == (run_directory, 3, 0.1, "seed:3")
    assert (run.recipe, run.parameters, run.is_native) == ("modular_addition/paper", PARAMETERS, True)
    assert [(ref.epoch, ref.step) for ref in run.checkpoints] == [(0, 0), (5, 50), (1_000_000, 10_000_000)]
    assert set(run.sources.values()) == {"native"}
    assert run.shapes == {"weight": (2, 2)}
    assert [*found.skipped, *found.unreadable, *found.refused, *found.warnings] == []


def test_name_of_the_directory_says_nothing(run_directory):
    renamed = run_directory.rename(run_directory.parent / "seed-7_scale-10")
    (run,) = discover(renamed).runs
    assert (run.path, run.seed, run.init_scale) == (renamed, 3, 0.1)


def test_one_checkpoint(run_directory):
    (run,) = discover(checkpoint_path(run_directory, 5)).runs
    assert (run.seed, [ref.epoch for ref in run.checkpoints]) == (3, [5])


def test_strange_files_are_skipped(run_directory):
    torch.save({"weight": torch.ones(2, 2)}, run_directory / "5.pt")
    shutil.copy(checkpoint_path(run_directory, 5), run_directory / "epoch-0000005.safetensors")
    found = discover(run_directory)
    assert [file.path.name for file in found.skipped] == ["5.pt", "epoch-0000005.safetensors"]
    assert len(found.runs[0].checkpoints) == 3


def test_a_renamed_checkpoint_is_a_warning(run_directory):
    checkpoint_path(run_directory, 5).rename(checkpoint_path(run_directory, 6))
    found = discover(run_directory)
    assert [ref.epoch for ref in found.runs[0].checkpoints] == [0, 6, 1_000_000]
    assert "epoch is 6 by the name of epoch-000006.safetensors and 5 by the file" in found.warnings[0]


def test_damaged_checkpoints(run_directory):
    checkpoint_path(run_directory, 5).write_bytes(b"")
    (run,) = discover(run_directory).runs
    assert [bool(ref.problem) for ref in run.checkpoints] == [False, True, False]
    for epoch in (0, 1_000_000):
        checkpoint_path(run_directory, epoch).write_bytes(b"")
    found = discover(run_directory)
    assert found.runs == ()
    assert len(found.unreadable) == 3


@pytest.mark.parametrize(
    "text",
    ["", '{"format": "grokprobe-run"', '{"format": "grokprobe-run", "seed": "3"}', "\x00"],
)
def test_a_broken_manifest_costs_the_run(run_directory, text):
    (run_directory / "run.json").write_text(text)
    found = discover(run_directory.parent)
    assert found.runs == ()
    assert [file.path.name for file in found.unreadable] == ["run.json"]
    assert "the run is not analysed" in found.unreadable[0].reason
    assert str(run_directory) not in found.unreadable[0].reason


def test_a_newer_version_is_not_guessed_at(run_directory):
    content = json.loads((run_directory / "run.json").read_text()) | {"version": 2}
    (run_directory / "run.json").write_text(json.dumps(content))
    found = discover(run_directory)
    assert found.runs == ()
    assert "version" in found.unreadable[0].reason


def test_anothers_run_json_is_just_a_file(tmp_path):
    (tmp_path / "run.json").write_text('{"lr": 0.1}')
    torch.save({"weight": torch.ones(1)}, tmp_path / "1.pt")
    found = discover(tmp_path)
    assert [run.is_native for run in found.runs] == [False]
    assert [file.path.name for file in found.skipped] == ["run.json"]


def test_a_run_without_checkpoints(run_directory):
    for epoch in (0, 5, 1_000_000):
        checkpoint_path(run_directory, epoch).unlink()
    found = discover(run_directory)
    assert found.runs == ()
    assert found.skipped[0].reason == "a native run without a checkpoint"


def test_native_and_strange_runs_side_by_side(run_directory):
    torch.save({"weight": torch.ones(2, 2)}, run_directory.parent / "1.pt")
    assert [run.is_native for run in discover(run_directory.parent).runs] == [False, True]
    torch.save({"weight": torch.zeros(2, 2)}, run_directory.parent / "epoch_1.pt")
    with pytest.raises(UsageError, match="two different checkpoints"):
        discover(run_directory.parent)
