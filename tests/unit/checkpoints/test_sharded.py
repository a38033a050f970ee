"""Checkpoints in several files: read through their index, and no name in it leads anywhere else."""

import json
import os

import pytest
import torch
from safetensors.torch import save_file

from grokprobe.checkpoints import discover, read_checkpoint
from grokprobe.errors import CheckpointError, CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError
from unit.checkpoints.hostile import write_unsafe

FIRST, SECOND = "model-00001-of-00002", "model-00002-of-00002"


def write_sharded(directory, *, kind="safetensors", value=1.0, step=None):
    """Writes a checkpoint as Hugging Face libraries do; returns its index."""
    directory.mkdir(parents=True, exist_ok=True)
    parts = {
        FIRST: {"a.weight": torch.full((2, 3), value)},
        SECOND: {"b.weight": torch.ones(3), "b.count": torch.tensor(3)},
    }
    for name, tensors in parts.items():
        if kind == "safetensors":
            save_file(
                tensors, directory / f"{name}.{kind}", metadata={"format": "pt"} | ({"step": step} if step else {})
            )
        else:
            torch.save(tensors, directory / f"{name}.{kind}")
    stem = "model" if kind == "safetensors" else "pytorch_model"
    weight_map = {key: f"{name}.{kind}" for name, tensors in parts.items() for key in tensors}
    return write_index(directory / f"{stem}.{kind}.index.json", weight_map)


def write_index(path, weight_map):
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return path


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_the_index_stands_for_all(tmp_path, kind):
    found = read_checkpoint(write_sharded(tmp_path, kind=kind, step="9" if kind == "safetensors" else None))
    assert list(found.parameters) == ["a.weight", "b.weight"]
    assert found.shapes == {"a.weight": (2, 3), "b.weight": (3,)}
    assert torch.equal(found.parameters["a.weight"], torch.ones(2, 3))
    assert (found.other_tensors, found.format) == (("b.count",), "sharded")
    assert found.step == (9 if kind == "safetensors" else None)
    assert [path.name for path in found.parts] == [f"{FIRST}.{kind}", f"{SECOND}.{kind}"]


def test_a_tree_of_sharded_checkpoints(tmp_path):
    for step in (500, 1000):
        write_sharded(tmp_path / "run" / f"checkpoint-{step}", value=float(step))
        (tmp_path / "run" / f"checkpoint-{step}" / "config.json").write_text("{}")
    found = discover(tmp_path)
    (run,) = found.runs
    assert [checkpoint.epoch for checkpoint in run.checkpoints] == [500, 1000]
    assert run.path == tmp_path / "run" / "checkpoint-{step}" / "model.safetensors.index.json"
    assert [*found.unreadable, *found.refused] == []
    reasons = {file.path.name: file.reason for file in found.skipped}
    assert reasons[f"{FIRST}.safetensors"] == "one part of the sharded checkpoint model.safetensors.index.json"


def test_the_digest_depends_on_every_part(tmp_path):
    write_sharded(tmp_path / "checkpoint-1")
    (checkpoint,) = discover(tmp_path).runs[0].checkpoints
    seen = []
    digest = checkpoint.digest(lambda path: seen.append(path.name) or path.name)
    assert seen == ["model.safetensors.index.json", f"{FIRST}.safetensors", f"{SECOND}.safetensors"]
    assert digest == ",".join(seen)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/b", "", ".", "..", "a\\b", "a\0b", "link", "deep", "device", "pipe"]
)
def test_a_shard_is_a_file_beside_the_index(tmp_path, name):
    torch.save({"w": torch.ones(1)}, tmp_path / "secret")
    directory = tmp_path / "model"
    (directory / "deep").mkdir(parents=True)
    (directory / "link").symlink_to(tmp_path / "secret")
    (directory / "device").symlink_to("/dev/zero")
    os.mkfifo(directory / "pipe")
    index = write_index(directory / "m.index.json", {"w": name})
    with pytest.raises(UnsafeCheckpointError, match=r"^\S+m\.index\.json: expected [^\n]+$"):
        read_checkpoint(index)


def test_links_of_the_hugging_face_cache(tmp_path):
    snapshot, blobs = tmp_path / "models--a" / "snapshots" / "rev", tmp_path / "models--a" / "blobs"
    blobs.mkdir(parents=True)
    index = write_sharded(snapshot)
    for k, path in enumerate(sorted(snapshot.glob("*.safetensors"))):
        path.rename(blobs / str(k))
        path.symlink_to(f"../../blobs/{k}")
    assert len(read_checkpoint(index).parameters) == 2
    (snapshot / f"{FIRST}.safetensors").unlink()
    (snapshot / f"{FIRST}.safetensors").symlink_to(tmp_path / "elsewhere")
    write_sharded(tmp_path / "other")
    (tmp_path / "other" / f"{FIRST}.safetensors").rename(tmp_path / "elsewhere")
    with pytest.raises(UnsafeCheckpointError, match="leads elsewhere"):
        read_checkpoint(index)


def test_a_link_that_leads_nowhere_or_round(tmp_path):
    index = write_sharded(tmp_path)
    shard = tmp_path / f"{FIRST}.safetensors"
    shard.unlink()
    for target in ("nowhere", shard.name):
        shard.symlink_to(target)
        with pytest.raises(CorruptCheckpointError, match="beside it, found none"):
            read_checkpoint(index)
        shard.unlink()


def test_a_shard_that_lacks_or_repeats(tmp_path):
    index = write_sharded(tmp_path)
    save_file({"other": torch.ones(1)}, tmp_path / f"{FIRST}.safetensors")
    with pytest.raises(CorruptCheckpointError, match=r"expected tensor 'a\.weight' in shard"):
        read_checkpoint(index)
    (tmp_path / f"{FIRST}.safetensors").write_bytes(b"")
    with pytest.raises(
        CorruptCheckpointError, match=r"^\S+index\.json: shard 'model-00001\S+: expected a checkpoint, found an"
    ):
        read_checkpoint(index)
    write_unsafe(tmp_path / f"{FIRST}.safetensors", tmp_path / "canary", "zip")
    with pytest.raises(UnsafeCheckpointError, match="shard"):
        read_checkpoint(index)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{}", NotACheckpointError),
        ('{"weight_map": 3}', NotACheckpointError),
        ('{"weight_map": {"w": 3}}', NotACheckpointError),
        ('{"weight_map": {}}', NotACheckpointError),
        ('{"weight_map": ', CorruptCheckpointError),
        ('{"a":' * 5000, CheckpointError),
    ],
)
def test_another_json_file(tmp_path, text, error):
    (tmp_path / "x.index.json").write_text(text)
    with pytest.raises(error, match=r"^\S+x\.index\.json: [^\n]+$"):
        read_checkpoint(tmp_path / "x.index.json")


def test_an_index_that_lists_an_index(tmp_path):
    write_index(tmp_path / "x.index.json", {"w": "x.index.json"})
    with pytest.raises(CorruptCheckpointError, match="expected a shard, found an index"):
        read_checkpoint(tmp_path / "x.index.json")
