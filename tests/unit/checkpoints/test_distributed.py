"""Distributed checkpoints of torch: read by our own reader, every slice within its file, nothing executed."""

import dataclasses

import pytest
import torch
from torch.distributed import checkpoint as torch_checkpoint
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata

from grokprobe.checkpoints import discover, read_checkpoint
from grokprobe.errors import CheckpointError, CorruptCheckpointError, NotACheckpointError, UnsafeCheckpointError
from unit.checkpoints.distributed_files import write_distributed, write_metadata
from unit.checkpoints.hostile import Touch

TENSORS = {
    "model.w": torch.arange(20.0).reshape(5, 4),
    "model.b": torch.arange(5.0).double(),
    "model.s": torch.tensor(2.0),
    "model.k": torch.arange(4),
    "optimizer.w": torch.ones(5, 4),
}


@pytest.mark.parametrize("num_pieces", [1, 2, 3])
def test_tensors_are_put_together(tmp_path, num_pieces):
    write_distributed(tmp_path, TENSORS | {"epoch": 3, "lr": 0.1}, num_pieces)
    found = read_checkpoint(tmp_path / ".metadata")
    assert list(found.parameters) == ["w", "b", "s"]
    for name, tensor in found.parameters.items():
        assert tensor.dtype == TENSORS[f"model.{name}"].dtype
        assert torch.equal(tensor, TENSORS[f"model.{name}"])
    assert (found.epoch, found.wrapper, found.format) == (3, "model", "torch distributed")
    assert found.other_tensors == ("k",)
    assert len(found.parts) == num_pieces


@pytest.mark.filterwarnings("ignore")
def test_as_torch_itself_writes_it(tmp_path):
    network = torch.nn.Linear(3, 2)
    torch_checkpoint.save(
        {"model": network.state_dict(), "global_step": 7}, checkpoint_id=tmp_path / "any", no_dist=True
    )
    found = read_checkpoint(tmp_path / "any" / ".metadata")
    assert found.step == 7
    assert {name: tensor.tolist() for name, tensor in found.parameters.items()} == {
        name: tensor.tolist() for name, tensor in network.state_dict().items()
    }


def test_a_tree_of_them(tmp_path):
    for step in (10, 5):
        write_distributed(tmp_path / f"step_{step}", {"w": torch.full((4,), float(step))})
    write_distributed(tmp_path / "step_20", {"w": torch.ones(4)})
    (tmp_path / "step_20" / ".metadata").rename(tmp_path / "step_20" / ".metadata.tmp")
    found = discover(tmp_path)
    (run,) = found.runs
    assert [checkpoint.epoch for checkpoint in run.checkpoints] == [5, 10]
    assert [path.name for path in run.checkpoints[0].parts] == ["__0_0.distcp", "__1_0.distcp"]
    reasons = {f"{file.path.parent.name}/{file.path.name}": file.reason for file in found.skipped}
    assert reasons["step_5/__0_0.distcp"] == "one part of the distributed checkpoint step_5/.metadata"
    assert "it was never finished" in reasons["step_20/__0_0.distcp"]
    assert [*found.unreadable, *found.refused] == []


def at(metadata, name="w"):
    return next(index for index in metadata.storage_data if index.fqn == name)


def changed_slice(metadata, **changes):
    index = at(metadata)
    metadata.storage_data[index] = dataclasses.replace(metadata.storage_data[index], **changes)


def changed_chunk(metadata, k, offsets, sizes):
    chunks = metadata.state_dict_metadata["w"].chunks
    chunks[k] = ChunkStorageMetadata(offsets=torch.Size(offsets), sizes=torch.Size(sizes))


def resized(metadata, size):
    metadata.state_dict_metadata["w"].size = torch.Size(size)


#: What is changed → error, and what it says.
LIES = {
    "outside": (lambda m: changed_slice(m, relative_path="../secret"), UnsafeCheckpointError, "the name of a file"),
    "absolute": (lambda m: changed_slice(m, relative_path="/etc/passwd"), UnsafeCheckpointError, "the name of a file"),
    "missing": (lambda m: changed_slice(m, relative_path="__9_0.distcp"), CorruptCheckpointError, "found none"),
    "behind the end": (lambda m: changed_slice(m, length=10**9), CorruptCheckpointError, "truncated or damaged"),
    "before the start": (lambda m: changed_slice(m, offset=-1), CorruptCheckpointError, "truncated or damaged"),
    "no slice": (lambda m: m.storage_data.pop(at(m)), CorruptCheckpointError, "expected a slice for tensor 'w'"),
    "a hole": (lambda m: m.state_dict_metadata["w"].chunks.pop(), CorruptCheckpointError, "found some missing"),
    "too large": (lambda m: resized(m, [10**12, 2]), CorruptCheckpointError, "found some missing"),
    "outside the tensor": (lambda m: changed_chunk(m, 0, [0, 0], [9, 2]), UnsafeCheckpointError, "blocks inside"),
    "overlap": (lambda m: changed_chunk(m, 0, [0, 0], [3, 2]), UnsafeCheckpointError, "two that overlap"),
    "other axes": (lambda m: changed_chunk(m, 0, [0, 0], [4]), UnsafeCheckpointError, "expected blocks of 2 axes"),
    "no metadata": (lambda m: setattr(m, "storage_data", None), CorruptCheckpointError, "expected state_dict_metadata"),
    "other keys": (lambda m: m.storage_data.update({"x": 1}), CorruptCheckpointError, "expected a MetadataIndex"),
    "other values": (lambda m: m.storage_data.update({at(m): 1}), CorruptCheckpointError, "file, offset and length"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_what_lies_is_refused(tmp_path, name):
    change, error, message = LIES[name]
    torch.save({"w": torch.ones(1)}, tmp_path / "secret")
    metadata = write_distributed(tmp_path / "run", {"w": torch.ones(4, 2)})
    change(metadata)
    with pytest.raises(error, match=rf"^\S+\.metadata: [^\n]*{message}[^\n]*$"):
        read_checkpoint(write_metadata(tmp_path / "run", metadata))


def test_a_slice_that_holds_something_else(tmp_path):
    metadata = write_distributed(tmp_path, {"w": torch.ones(4, 2), "v": torch.ones(4, 3)})
    (first, *_) = (index for index in metadata.storage_data if index.fqn == "v")
    metadata.storage_data[at(metadata)] = metadata.storage_data[first]
    found = read_checkpoint(write_metadata(tmp_path, metadata))
    with pytest.raises(CorruptCheckpointError, match=r"expected torch\.float32 of shape \(2, 2\) at byte"):
        found.parameters["w"]


def test_a_claim_without_bytes_takes_no_memory(tmp_path):
    metadata = write_distributed(tmp_path, {"w": torch.ones(4, 2)})
    resized(metadata, [10**9, 2])
    changed_chunk(metadata, 0, [0, 0], [5 * 10**8, 2])
    changed_chunk(metadata, 1, [5 * 10**8, 0], [5 * 10**8, 2])
    indices = list(metadata.storage_data)
    moved = dataclasses.replace(indices[1], offset=torch.Size([5 * 10**8, 0]))
    metadata.storage_data[moved] = metadata.storage_data.pop(indices[1])
    with pytest.raises(UnsafeCheckpointError, match="claims 8000000000 bytes, its slices hold"):
        read_checkpoint(write_metadata(tmp_path, metadata))


def test_code_in_the_metadata_is_refused_and_not_executed(tmp_path):
    metadata = write_distributed(tmp_path, {"w": torch.ones(4, 2)})
    metadata.planner_data = Touch(tmp_path / "canary")
    with pytest.raises(UnsafeCheckpointError, match=r"refused as unsafe, it names posix\.system"):
        read_checkpoint(write_metadata(tmp_path, metadata))
    with pytest.raises(NotACheckpointError, match="that torch did not write"):
        read_checkpoint(write_metadata(tmp_path, Touch(tmp_path / "canary")))
    assert not (tmp_path / "canary").exists()


def test_metadata_without_a_state(tmp_path):
    (tmp_path / ".metadata").write_bytes(b"ctorch.distributed.checkpoint.metadata\nMetadata\n)\x81.")
    with pytest.raises(CorruptCheckpointError, match="expected state_dict_metadata"):
        read_checkpoint(tmp_path / ".metadata")


def test_offsets_that_are_no_numbers(tmp_path):
    metadata = write_distributed(tmp_path, {"w": torch.ones(4, 2)})
    chunk = metadata.state_dict_metadata["w"].chunks[0]
    metadata.state_dict_metadata["w"].chunks[0] = dataclasses.replace(chunk, offsets=[[0], [0]])
    with pytest.raises(CorruptCheckpointError, match="expected the offsets and sizes of a chunk"):
        read_checkpoint(write_metadata(tmp_path, metadata))


def test_truncated_anywhere_is_one_line(tmp_path):
    write_distributed(tmp_path, {"w": torch.ones(4, 2), "epoch": 3})
    whole = (tmp_path / ".metadata").read_bytes()
    for length in range(0, len(whole), 11):
        (tmp_path / ".metadata").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"^\S+\.metadata: [^\n]+$"):
            read_checkpoint(tmp_path / ".metadata")
    (tmp_path / ".metadata").write_bytes(whole)
    shard = tmp_path / "__1_0.distcp"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(CorruptCheckpointError, match="truncated or damaged"):
        read_checkpoint(tmp_path / ".metadata")
    shard.write_bytes(content[:30] + bytes(len(content) - 30))
    with pytest.raises(CorruptCheckpointError, match="truncated or damaged"):
        dict(read_checkpoint(tmp_path / ".metadata").parameters)
