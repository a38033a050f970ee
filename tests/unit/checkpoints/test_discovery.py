import shutil
import weakref

import pytest
import torch
from safetensors.torch import save_file

from grokprobe.checkpoints import discover, read_checkpoint, sightings
from grokprobe.errors import UsageError
from unit.checkpoints.hostile import write_unsafe


def save(path, value=0.0, **fields):
    """Writes a checkpoint whose single weight tells it apart; with fields it is wrapped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {"weight": torch.full((2, 3), float(value))}
    torch.save({"model": weights, **fields} if fields else weights, path)


def epochs(run):
    return [checkpoint.epoch for checkpoint in run.checkpoints]


def reasons(files):
    return {file.path.name: file.reason for file in files}


def faults(found):
    return [*found.unreadable, *found.refused, *found.warnings]


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


def test_the_files_own_epoch_and_step(tmp_path):
    save(tmp_path / "last.ckpt", 1, epoch=3, global_step=100)
    save_file({"weight": torch.zeros(2, 3)}, tmp_path / "first", metadata={"epoch": "0"})
    (run,) = discover(tmp_path).runs
    assert [(checkpoint.epoch, checkpoint.step) for checkpoint in run.checkpoints] == [(0, None), (3, 100)]
    assert run.sources == {"epoch": "file"}


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


def test_epoch_in_the_directory(tmp_path):
    for step in (1000, 500):
        save(tmp_path / "run" / f"checkpoint-{step}" / "model.pt", step)
        torch.save({"state": {}, "param_groups": []}, tmp_path / "run" / f"checkpoint-{step}" / "optimizer.pt")
        write_unsafe(tmp_path / "run" / f"checkpoint-{step}" / "training_args.bin", tmp_path / "canary", "zip")
    found = discover(tmp_path)
    (run,) = found.runs
    assert (epochs(run), run.epoch_units) == ([500, 1000], "steps")
    assert run.path == tmp_path / "run" / "checkpoint-{step}" / "model.pt"
    assert {file.reason.partition(",")[0] for file in found.skipped} == {
        "the state of an optimizer",
        "the arguments of a Hugging Face trainer",
    }
    assert (len(found.skipped), found.refused) == (4, ())
    assert not (tmp_path / "canary").exists()


def test_layout_with_the_epoch_in_the_directory(tmp_path):
    for seed in (0, 1):
        for epoch in (5, 10):
            save(tmp_path / f"s{seed}" / f"at{epoch}" / "model.pt", epoch)
    found = discover(tmp_path, layout="s{seed}/at{epoch}/model.pt")
    assert [(run.seed, epochs(run)) for run in found.runs] == [(0, [5, 10]), (1, [5, 10])]
    assert found.runs[0].path == tmp_path / "s0" / "at{epoch}" / "model.pt"
    assert found.runs[0].sources == {"seed": "layout", "epoch": "layout"}


def test_layout_works_from_inside_the_run(tmp_path):
    save(tmp_path / "p_23_scale_0.5_7" / "final.pth", 1, epoch=30)
    save(tmp_path / "p_23_scale_0.5_7" / "10.pth", epoch=10)
    (tmp_path / "p_23_scale_0.5_7" / "notes.pth").write_text("lr 0.1")
    save(tmp_path / "p_23_scale_0.5_7" / "best.pt", 2)
    found = discover(tmp_path / "p_23_scale_0.5_7", layout="p_{p}_scale_{init_scale}_{run}/{epoch}.pth")
    (run,) = found.runs
    assert (run.init_scale, run.parameters, epochs(run)) == (0.5, {"run": {"p": 23}}, [10, 30])
    assert run.sources == {"init_scale": "layout", "epoch": "layout, file"}
    assert "does not match the layout" in reasons(found.skipped)["best.pt"]
    assert "not a checkpoint" in reasons(found.skipped)["notes.pth"]


def test_layout_of_steps_ignores_the_files_epoch(tmp_path):
    save(tmp_path / "run" / "100.pt", epoch=1)
    save(tmp_path / "run" / "200.pt", 1, epoch=1)
    (run,) = discover(tmp_path, layout="{run}/{step}.pt").runs
    assert (run.epoch_units, epochs(run)) == ("steps", [100, 200])


def test_without_an_epoch_it_is_skipped_with_advice(tmp_path):
    save(tmp_path / "final.pt")
    found = discover(tmp_path)
    assert found.runs == ()
    assert "--layout" in reasons(found.skipped)["final.pt"]
    assert "reads 'final'" in reasons(discover(tmp_path, layout="{epoch}.pt").skipped)["final.pt"]


def test_a_scale_that_is_no_number_is_a_warning(tmp_path):
    save(tmp_path / "s_big" / "1.pt")
    found = discover(tmp_path, layout="s_{init_scale}/{epoch}.pt")
    assert found.runs[0].init_scale is None
    assert "reads 'big', which is no init_scale" in found.warnings[0]


def test_manifest(tmp_path):
    save(tmp_path / "a" / "final.pt", 5)
    save(tmp_path / "a" / "1.pt")
    manifest = 'seed = 4\ninit_scale = 2\nsplit = "all"\n[task]\nname = "ising"\n[epochs]\n"final.pt" = 9\n'
    (tmp_path / "grokprobe.toml").write_text(manifest)
    found = discover(tmp_path)
    (run,) = found.runs
    assert (run.seed, run.init_scale, run.split, epochs(run)) == (4, 2.0, "all", [1, 9])
    assert run.parameters == {"task": {"name": "ising"}}
    assert run.sources == dict.fromkeys(("seed", "init_scale", "split"), "manifest") | {"epoch": "file name, manifest"}
    assert found.skipped == ()
    assert epochs(discover(tmp_path / "a" / "1.pt").runs[0]) == [1]


def test_manifest_beside_one_file_applies(tmp_path):
    save(tmp_path / "1.pt")
    (tmp_path / "grokprobe.toml").write_text("seed = 4")
    assert discover(tmp_path / "1.pt").runs[0].seed == 4


def test_bad_manifest_stops(tmp_path):
    save(tmp_path / "1.pt")
    (tmp_path / "grokprobe.toml").write_text("sead = 4")
    with pytest.raises(UsageError, match="sead"):
        discover(tmp_path)


def test_order_of_belief(tmp_path):
    for epoch in (10, 20, 30):
        save(tmp_path / "seed_1_w_5" / f"{epoch}.pt", epoch, epoch=epoch - 1)
    manifest = 'seed = 2\n[run]\nw = 6\nlr = 0.1\n[epochs]\n"30.pt" = 40\n'
    (tmp_path / "grokprobe.toml").write_text(manifest)
    found = discover(tmp_path, layout="seed_{seed}_w_{w}/{epoch}.pt")
    (run,) = found.runs
    assert (run.seed, epochs(run), run.parameters) == (1, [10, 20, 30], {"run": {"w": 5, "lr": 0.1}})
    assert len(found.warnings) == 4  # of seed, w, and the epochs of the file and of the manifest
    text = "\n".join(found.warnings)
    assert "seed is 1 by the layout and 2 by the manifest; the layout is believed" in text
    assert "w is 5 by the layout and 6 by the manifest" in text
    assert "epoch is 10 by the layout and 9 by the file; the layout is believed (10.pt and 1 more)" in text
    assert "epoch is 30 by the layout and 40 by the manifest" in text
    (run,) = discover(tmp_path).runs
    assert (run.seed, epochs(run)) == (2, [9, 19, 40])


def test_the_file_is_believed_before_its_name(tmp_path):
    for epoch in (1, 2):
        save(tmp_path / f"epoch_{epoch}.pt", epoch, epoch=epoch - 1)
    found = discover(tmp_path)
    assert epochs(found.runs[0]) == [0, 1]
    assert len(found.warnings) == 1
    assert (
        "epoch is 0 by the file and 1 by the file name; the file is believed (epoch_1.pt and 1 more)"
        in found.warnings[0]
    )


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


def test_steps_within_one_epoch(tmp_path):
    for step in (10, 20, 30):
        save(tmp_path / f"step_{step}.pt", step, epoch=step // 20)
    found = discover(tmp_path)
    assert (found.runs[0].epoch_units, epochs(found.runs[0])) == ("steps", [10, 20, 30])
    assert "counted in steps" in found.warnings[0]


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


def test_key_of_the_user(tmp_path):
    torch.save({"g": {"w": torch.zeros(1)}, "d": {"w": torch.zeros(2)}, "epoch": 1}, tmp_path / "a.pt")
    assert "run.state_dict" in discover(tmp_path).skipped[0].reason
    assert discover(tmp_path, state_dict_key="d").runs[0].shapes == {"w": (2,)}


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


def test_tensors_are_not_kept(tmp_path, monkeypatch):
    seen = []

    def read_and_watch(path, **options):
        content = read_checkpoint(path, **options)
        alive_before = [tensor() for tensor in seen if tensor() is not None]
        assert alive_before == []
        seen.extend(weakref.ref(tensor) for tensor in content.parameters.values())
        return content

    monkeypatch.setattr(sightings, "read_checkpoint", read_and_watch)
    for epoch in range(3):
        save(tmp_path / f"{epoch}.pt", epoch)
    assert epochs(discover(tmp_path).runs[0]) == [0, 1, 2]
    assert [tensor() for tensor in seen] == [None] * 3


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
