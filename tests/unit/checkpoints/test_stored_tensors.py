"""Tensors as torch describes them: read to the bit, or refused if the description lies."""

import collections
import pickle

import pytest
import torch
from torch import nn

from grokprobe.checkpoints import read_checkpoint
from grokprobe.errors import CheckpointError, CorruptCheckpointError
from unit.checkpoints.corpus_formats import CASES
from unit.checkpoints.foreign_classes import Unknown, known_as, save_with_unknown
from unit.checkpoints.hostile import members_of, write_archive


class Rebuilt:
    """A tensor as a hostile file describes one."""

    def __init__(self, maker, *args):
        self.call = maker, args

    def __reduce__(self):
        return self.call


def view(offset, shape, stride, storage=None):
    held = torch.arange(4.0).untyped_storage() if storage is None else storage
    typed = torch.storage.TypedStorage(wrap_storage=held, dtype=torch.float32, _internal=True)
    hooks = collections.OrderedDict()
    return Rebuilt(torch._utils._rebuild_tensor_v2, typed, offset, shape, stride, False, hooks)


#: Tensor → what the message says.
LIES = {
    "too many": (lambda: view(0, (10**12,), (0,)), "claims 1000000000000 elements, the file holds 4"),
    "too far": (lambda: view(2, (3,), (1,)), "reaches beyond its storage of 4 elements"),
    "too wide": (lambda: view(0, (2, 2), (3, 1)), "reaches beyond its storage of 4 elements"),
    "beyond": (lambda: view(5, (0,), (1,)), "reaches beyond its storage of 4 elements"),
    "negative offset": (lambda: view(-1, (2,), (1,)), "expected the storage, offset, shape and stride"),
    "negative stride": (lambda: view(3, (4,), (-1,)), "expected the storage, offset, shape and stride"),
    "negative shape": (lambda: view(0, (-1,), (1,)), "expected the storage, offset, shape and stride"),
    "huge shape": (lambda: view(0, (2**63,), (0,)), "expected the storage, offset, shape and stride"),
    "ranks": (lambda: view(0, (2, 2), (1,)), "expected the storage, offset, shape and stride"),
    "text": (lambda: view(0, "ab", (1,)), "expected the storage, offset, shape and stride"),
    "booleans": (lambda: view(True, (True,), (1,)), "expected the storage, offset, shape and stride"),
    "no storage": (
        lambda: Rebuilt(torch._utils._rebuild_tensor_v2, "x", 0, (1,), (1,), False, None),
        "expected the storage, offset, shape and stride",
    ),
    "few arguments": (lambda: Rebuilt(torch._utils._rebuild_tensor_v2, "x"), "found other arguments of"),
    "nested without end": (
        lambda: Rebuilt(
            torch._utils._rebuild_parameter,
            Rebuilt(
                torch._utils._rebuild_parameter,
                Rebuilt(
                    torch._utils._rebuild_parameter,
                    Rebuilt(torch._utils._rebuild_parameter, view(0, (1,), (1,)), True, None), True, None,
                ), True, None,
            ), True, None,
        ),
        "found other arguments of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", LIES)
def test_a_tensor_that_lies_is_refused(tmp_path, name, is_zip):
    build, message = LIES[name]
    save_with_unknown({"w": build()}, tmp_path / "x", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(CheckpointError, match=rf"^\S+x: [^\n]*{message}"):
        read_checkpoint(tmp_path / "x")


def test_tensors_of_every_type_and_shape(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "transposed": whole.T, "row": whole[1], "tied": whole, "none": torch.zeros(0, 5), "number": torch.tensor(3.0),
        "half": torch.ones(3).half(), "double": torch.ones(3).double(), "bf16": torch.ones(3).bfloat16(),
        "fp8": torch.ones(3).to(torch.float8_e4m3fn), "grad": nn.Parameter(torch.ones(2)),
    }  # fmt: skip
    others = {
        "integer": torch.arange(3), "bool": torch.ones(2).bool(), "complex": torch.ones(2) * 1j,
        "sparse": torch.eye(3).to_sparse(), "meta": torch.ones(2, device="meta"),
    }  # fmt: skip
    save_with_unknown(tensors | others, tmp_path / "x")
    found = read_checkpoint(tmp_path / "x")
    assert list(found.parameters) == list(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(found.parameters[name].double(), tensor.detach().double()), name
    assert found.other_tensors == tuple(others)


def test_archive_members_that_lie(tmp_path):
    with known_as(strange__Unknown=Unknown):
        members = members_of({"model": {"w": torch.zeros(100)}, "other": Unknown()})
    (key,) = (name for name in members if name.endswith("data/0"))
    for change, message in (
        ({key: bytes(396)}, "expected 396 bytes of storage '0', found 400 claimed"),
        ({name.replace("data/0", "data/7"): b"" for name in [key]}, "expected 400 bytes of storage '0', found none"),
    ):
        kept = {name: content for name, content in members.items() if name != key} | change
        write_archive(tmp_path / "x", list(kept.items()))
        with pytest.raises(CorruptCheckpointError, match=message):
            read_checkpoint(tmp_path / "x")
    order = next(name for name in members if name.endswith("byteorder"))
    write_archive(tmp_path / "x", list((members | {order: b"middle"}).items()))
    with pytest.raises(CorruptCheckpointError, match="expected 'little' or 'big' for its byte order, found b'middle'"):
        read_checkpoint(tmp_path / "x")


def test_a_nested_file_must_be_a_storage(tmp_path):
    class Inner:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (inner,)

    torch.save([1], tmp_path / "inner", _use_new_zipfile_serialization=False)
    inner = (tmp_path / "inner").read_bytes()
    call = Rebuilt(torch._utils._rebuild_tensor_v2, Inner(), 0, (1,), (1,), False, None)
    (tmp_path / "x").write_bytes(pickle.dumps({"w": call}))
    with pytest.raises(CorruptCheckpointError, match="expected the bytes of a storage"):
        read_checkpoint(tmp_path / "x")


def test_numbers_in_the_other_byte_order_are_turned(tmp_path):
    tensors = {"w": torch.arange(3.0), "d": torch.ones(2).double(), "h": torch.tensor([1.5, -2.0]).bfloat16()}
    CASES["bytes swapped"][0](tmp_path / "x", tmp_path)
    found = read_checkpoint(tmp_path / "x").parameters
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name
