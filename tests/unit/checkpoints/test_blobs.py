"""A file that holds a whole run: every checkpoint at its epoch, the initial one recovered, its samples used."""

import math

import pytest
import torch

import grokprobe
from grokprobe.checkpoints import discover, read_checkpoint
from grokprobe.checkpoints.blob_data import read_stored_parts
from grokprobe.checkpoints.torch_reading import read_blob
from grokprobe.errors import CheckpointError, CorruptCheckpointError, NotACheckpointError, SeveralCheckpointsError
from unit.checkpoints.authors_blob import Model, Run, write_blob
from unit.checkpoints.foreign_classes import known_as

TASKS = ("modular_addition", "ising")


@pytest.fixture(scope="module", params=TASKS)
def blob(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("blob") / "save.pt"
    return path, request.param, write_blob(path, request.param, num_epochs=5, every=2)


def test_each_checkpoint_is_after_one_more_epoch_than_its_key(blob):
    path, _, truth = blob
    (run,) = discover(path.parent).runs
    assert [checkpoint.epoch for checkpoint in run.checkpoints] == [0, 1, 3, 5]
    assert [checkpoint.member for checkpoint in run.checkpoints] == [
        "modelinstance.network", "models.0", "models.2", "models.4",
    ]  # fmt: skip
    for checkpoint in run.checkpoints:
        found = read_checkpoint(checkpoint.path, member=checkpoint.member)
        expected = truth["parameters"][checkpoint.epoch]
        assert found.epoch == checkpoint.epoch
        assert list(found.parameters) == list(expected)
        for name, tensor in expected.items():
            torch.testing.assert_close(found.parameters[name], tensor, rtol=1e-6, atol=0)


def test_the_run_says_what_it_was_trained_with(blob):
    path, task, _ = blob
    (run,) = discover(path).runs
    assert (run.path, run.seed, run.init_scale, run.epoch_units) == (path, 2, 3.0, "epochs")
    assert run.split == f"stored:{path}"
    assert set(run.sources.values()) == {"file"}
    optimizer = {"name": "adam", "lr": 1e-3, "weight_decay": 0.1}
    if task == "modular_addition":
        assert run.parameters == {
            "task": {"name": task, "p": 5, "train_fraction": 0.6},
            "model": {"hidden": 12},
            "optimizer": optimizer | {"batch_size": "full", "reshuffle": False},
        }
    else:
        assert run.parameters == {
            "task": {"name": task, "size": 8, "num_train": 30, "num_test": 20, "draw": "shuffled"},
            "model": {"hidden": 12, "channels": [2, 4]},
            "optimizer": optimizer | {"batch_size": "full", "reshuffle": True},
        }


def test_its_samples_are_those_it_was_trained_on(blob):
    path, task, truth = blob
    for part, loader in zip(
        read_stored_parts(path), (truth["run"].train_loader, truth["run"].test_loader), strict=True
    ):
        if task == "modular_addition":
            assert part.indices.tolist() == loader.dataset.indices
        else:
            assert torch.equal(part.inputs, loader.dataset.tensors[0])
            assert torch.equal(part.targets, loader.dataset.tensors[1].argmax(1))


def test_analysed_without_a_word_more(blob, tmp_path):
    path, task, truth = blob
    report = grokprobe.analyze(path, out=tmp_path / "r.zarr", probes=["weights"])
    assert report.failures == ()
    (experiment,) = grokprobe.open_results(tmp_path / "r.zarr").children.values()
    assert experiment.name.startswith(task)
    history = experiment["history"].sel(seed=2, init_scale=3.0)
    assert history.epoch.values.tolist() == [0, 1, 3, 5]
    for epoch in (1, 3, 5):  # evaluated here, on their test samples: what they logged after that epoch
        assert math.isclose(history.test_loss.sel(epoch=epoch), truth["log"]["test_losses"][epoch - 1], rel_tol=1e-5)
        assert history.test_accuracy.sel(epoch=epoch) == pytest.approx(truth["log"]["test_accuracies"][epoch - 1])
    assert grokprobe.analyze(path, out=tmp_path / "r.zarr", probes=["weights"]).experiments[0].measured[
        "probes/weights"
    ] == (4, 0)


def test_its_own_log_is_kept_apart(blob):
    path, _, truth = blob
    assert read_blob(path).logged == truth["log"]
    (warning,) = discover(path).warnings
    assert "its own log (5 epochs) is not taken for the history" in warning


def test_it_is_no_single_checkpoint(blob):
    path, *_ = blob
    with pytest.raises(SeveralCheckpointsError, match=r"found 4 of one run; .* modelinstance\.network, models\.0"):
        read_checkpoint(path)
    with pytest.raises(NotACheckpointError, match=r"expected a checkpoint 'models\.1' within the file"):
        read_checkpoint(path, member="models.1")


def test_layout_and_manifest_are_believed_first(tmp_path):
    (tmp_path / "wm_4_1").mkdir()
    write_blob(tmp_path / "wm_4_1" / "save.pt", "modular_addition", num_epochs=1)
    (tmp_path / "grokprobe.toml").write_text('seed = 9\n[task]\ntrain_fraction = 0.5\n[run]\nnote = "x"\n')
    found = discover(tmp_path, layout="wm_{init_scale}_{run}/{_}.pt")
    (run,) = found.runs
    assert (run.seed, run.init_scale) == (9, 4.0)
    assert run.parameters["task"] == {"name": "modular_addition", "p": 5, "train_fraction": 0.5}
    assert run.parameters["run"] == {"note": "x"}
    assert any("init_scale is 4.0 by the layout and 3.0 by the file" in line for line in found.warnings)


def save_run(path, **attributes):
    run = Run(**{"data_seed": 0, "params_dic": {}, "modelinstance": None, "models": {}} | attributes)
    with known_as(data_objects__seed_average_onerun=Run, models__constructor__Model=Model):
        torch.save(run, path)


def test_an_incomplete_one_gives_what_it_has(tmp_path):
    weights = {"w": torch.ones(2, 2)}
    models = {0: {"model": weights, "epoch": 0}, 4: {"model": weights, "epoch": 3}, "best": {"model": weights}}
    save_run(tmp_path / "save.pt", models=models, modelconfig={"input_dims": (4, 4)})
    found = discover(tmp_path)
    (run,) = found.runs
    assert [checkpoint.epoch for checkpoint in run.checkpoints] == [1, 5]
    assert (run.init_scale, run.split, run.seed) == (None, None, 0)
    text = "\n".join(found.warnings)
    assert "models['best'] is no checkpoint and left out" in text
    assert "models[4] says epoch 3 of itself; its key is believed" in text
    assert "the initial parameters are not in it" in text


def test_one_without_a_checkpoint_is_corrupt(tmp_path):
    save_run(tmp_path / "save.pt")
    with pytest.raises(CorruptCheckpointError, match="expected checkpoints under 'models'"):
        read_checkpoint(tmp_path / "save.pt")
    torch.save({"w": torch.ones(2)}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="expected a file with a whole run"):
        read_stored_parts(tmp_path / "w.pt")


def test_a_changed_file_is_read_again(tmp_path):
    write_blob(tmp_path / "save.pt", "modular_addition", num_epochs=1)
    before = read_checkpoint(tmp_path / "save.pt", member="models.0").parameters["model.0.bias"].clone()
    write_blob(tmp_path / "save.pt", "modular_addition", num_epochs=1, scale=5.0)
    assert not torch.equal(read_checkpoint(tmp_path / "save.pt", member="models.0").parameters["model.0.bias"], before)


def test_real_ones(shared_data, tmp_path):
    (path,) = (shared_data / "authors-format" / "mod_add").glob("*/*/onerun.pt")
    (run,) = discover(path).runs
    for checkpoint in run.checkpoints:
        plain = read_checkpoint(path.parent / "plain" / f"epoch-{checkpoint.epoch:03d}.pt").parameters
        found = read_checkpoint(path, member=checkpoint.member).parameters
        assert list(found) == list(plain)
        assert all(torch.equal(found[name], plain[name]) for name in plain)
    (path,) = (shared_data / "authors-format" / "ising").glob("*/*/save_blob.pt")
    grokprobe.analyze(path, out=tmp_path / "r.zarr", probes=["weights"])
    (experiment,) = grokprobe.open_results(tmp_path / "r.zarr").children.values()
    history = experiment["history"].isel(seed=0, init_scale=0)
    logged = read_blob(path).logged
    for epoch in history.epoch.values.tolist()[1:]:
        assert math.isclose(history.test_loss.sel(epoch=epoch), logged["test_losses"][epoch - 1], rel_tol=1e-6)
    assert math.isclose(history.train_loss.sel(epoch=0), logged["train_losses"][0], rel_tol=1e-6)
