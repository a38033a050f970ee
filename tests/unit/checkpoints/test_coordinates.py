"""Where the coordinates of checkpoints come from, and who is believed."""

import pytest
import torch
from safetensors.torch import save_file

from grokprobe.checkpoints import discover
from grokprobe.errors import UsageError
from unit.checkpoints.hostile import write_unsafe
from unit.checkpoints.trees import epochs, reasons, save


def test_the_files_own_epoch_and_step(tmp_path):
    save(tmp_path / "last.ckpt", 1, epoch=3, global_step=100)
    save_file({"weight": torch.zeros(2, 3)}, tmp_path / "first", metadata={"epoch": "0"})
    (run,) = discover(tmp_path).runs
    assert [(checkpoint.epoch, checkpoint.step) for checkpoint in run.checkpoints] == [(0, None), (3, 100)]
    assert run.sources == {"epoch": "file"}


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


def test_steps_within_one_epoch(tmp_path):
    for step in (10, 20, 30):
        save(tmp_path / f"step_{step}.pt", step, epoch=step // 20)
    found = discover(tmp_path)
    assert (found.runs[0].epoch_units, epochs(found.runs[0])) == ("steps", [10, 20, 30])
    assert "counted in steps" in found.warnings[0]
