import collections
import pickle

import pytest
import torch
from safetensors.torch import save_file

from grokprobe.checkpoints import read_checkpoint
from grokprobe.errors import CheckpointError, CorruptCheckpointError, NotACheckpointError


def state_dict():
    return collections.OrderedDict(
        [
            ("b.weight", torch.arange(6.0).reshape(2, 3)),
            ("b.bias", torch.tensor([1.0, torch.nan])),
            ("a", torch.zeros(())),
        ]
    )


OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}

#: What is saved → key it is found under, epoch, step.
WRAPPED = {
    "bare": (state_dict, "", None, None),
    "bare with metadata": (lambda: state_dict() | {"_metadata": {"": {"version": 1}}}, "", None, None),
    "bare with extra state": (lambda: state_dict() | {"b._extra_state": None}, "", None, None),
    "bare with epoch": (lambda: state_dict() | {"epoch": 4}, "", 4, None),
    "bare with tensor epoch": (lambda: state_dict() | {"epoch": torch.tensor(4)}, "", 4, None),
    "model": (lambda: {"model": state_dict(), "epoch": 7, "optimizer": OPTIMIZER}, "model", 7, None),
    "state_dict": (lambda: {"epoch": 3, "global_step": 100, "state_dict": state_dict()}, "state_dict", 3, 100),
    "model_state_dict": (lambda: {"model_state_dict": state_dict(), "step": 5}, "model_state_dict", None, 5),
    "preferred among several": (lambda: {"ema": state_dict(), "model": state_dict()}, "model", None, None),
    "unique": (lambda: {"network": state_dict(), "optim": {"m": torch.ones(2)}, "lr": 0.1}, "network", None, None),
    "moments are not the network": (
        lambda: {"params": state_dict(), "exp_avg": {"a": torch.ones(2)}},
        "params",
        None,
        None,
    ),
    "generator states are not the network": (
        lambda: {"net": state_dict(), "states": {"cpu": torch.zeros(9, dtype=torch.uint8)}},
        "net",
        None,
        None,
    ),
    "twice": (
        lambda: {"checkpoint": {"model": state_dict(), "epoch": 2}, "args": {"lr": 1}},
        "checkpoint.model",
        2,
        None,
    ),
    "model is a word": (lambda: {"model": "mlp", "weights": state_dict()}, "weights", None, None),
    "negative epoch": (lambda: {"model": state_dict(), "epoch": -1}, "model", None, None),
    "boolean epoch": (lambda: {"model": state_dict(), "epoch": True}, "model", None, None),
}


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", WRAPPED)
def test_torch(tmp_path, name, is_zip):
    build, wrapper, epoch, step = WRAPPED[name]
    path = tmp_path / "x.txt"  # the suffix says nothing
    torch.save(build(), path, _use_new_zipfile_serialization=is_zip)
    content = read_checkpoint(path)
    assert (content.wrapper, content.epoch, content.step, content.format) == (wrapper, epoch, step, "torch")
    assert list(content.parameters) == ["b.weight", "b.bias", "a"]
    torch.testing.assert_close(dict(content.parameters), dict(state_dict()), rtol=0, atol=0, equal_nan=True)


def test_safetensors(tmp_path):
    path = tmp_path / "x.pt"
    save_file(
        dict(state_dict()) | {"count": torch.tensor(3)}, path, metadata={"epoch": "12", "step": "600", "by": "us"}
    )
    content = read_checkpoint(path)
    assert (content.wrapper, content.epoch, content.step, content.format) == ("", 12, 600, "safetensors")
    assert content.other_tensors == ("count",)
    torch.testing.assert_close(dict(content.parameters), dict(state_dict()), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("order", "names"),
    [('["b", "a"]', ["b", "a"]), ('["b"]', ["a", "b"]), ("[1, 2]", ["a", "b"]), ("[" * 9000, ["a", "b"])],
)
def test_order_of_safetensors(tmp_path, order, names):
    save_file({"a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "x", metadata={"parameter_order": order})
    assert list(read_checkpoint(tmp_path / "x").parameters) == names


def test_other_tensors_are_named(tmp_path):
    tensors = {"mask": torch.ones(2, dtype=torch.bool), "phase": torch.ones(2, dtype=torch.complex64)}
    sparse = {"sparse": torch.eye(3).to_sparse()}
    torch.save({"w": torch.ones(2, dtype=torch.bfloat16)} | tensors | sparse, tmp_path / "x")
    content = read_checkpoint(tmp_path / "x")
    assert list(content.parameters) == ["w"]
    assert content.other_tensors == ("mask", "phase", "sparse")


def test_parameters_need_no_gradient(tmp_path):
    torch.save({"w": torch.nn.Parameter(torch.ones(2))}, tmp_path / "x")
    assert not read_checkpoint(tmp_path / "x").parameters["w"].requires_grad


def test_views_within_their_storage_are_read(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    torch.save({"transposed": whole.T, "row": whole[1], "tied": whole, "none": torch.zeros(0, 5)}, tmp_path / "x")
    parameters = read_checkpoint(tmp_path / "x").parameters
    assert torch.equal(parameters["transposed"], whole.T)
    assert torch.equal(parameters["row"], whole[1])
    assert parameters["none"].shape == (0, 5)


def test_key_of_the_user(tmp_path):
    torch.save(
        {"nets": {"g": {"w": torch.ones(1)}, "d": {"w": torch.zeros(1)}}, "a.b": {"w": torch.ones(3)}}, tmp_path / "x"
    )
    assert read_checkpoint(tmp_path / "x", state_dict_key="nets.d").parameters["w"] == 0
    assert read_checkpoint(tmp_path / "x", state_dict_key="a.b").parameters["w"].shape == (3,)
    with pytest.raises(NotACheckpointError, match=r"under 'nets\.e', found the keys d, g"):
        read_checkpoint(tmp_path / "x", state_dict_key="nets.e")
    with pytest.raises(NotACheckpointError, match="under 'nets', found a mapping without"):
        read_checkpoint(tmp_path / "x", state_dict_key="nets")


def test_several_state_dicts_are_named(tmp_path):
    torch.save({"generator": state_dict(), "critic": state_dict()}, tmp_path / "x")
    with pytest.raises(NotACheckpointError, match=r"several \(generator, critic\).*--set run\.state_dict=KEY"):
        read_checkpoint(tmp_path / "x")


#: What is saved that is no checkpoint → what the message calls it.
NO_CHECKPOINTS = {
    "list": ([torch.ones(2)] * 3, "a list of 3 items"),
    "tensor": (torch.ones(7), r"one tensor without a name, of shape \(7,\)"),
    "optimizer": (OPTIMIZER, "the state of an optimizer"),
    "wrapped optimizer": ({"optimizer": OPTIMIZER}, "the state of an optimizer under 'optimizer', and no network"),
    "empty": ({}, "an empty mapping"),
    "numbers": ({"loss": 0.1}, r"keys 'loss'"),
    "indices": ({"train": torch.arange(3)}, "a mapping without named floating-point tensors"),
    "text": ("hello", "a str"),
    "unnamed": ({0: torch.ones(2)}, "a mapping without named floating-point tensors"),
}


@pytest.mark.parametrize("name", NO_CHECKPOINTS)
def test_says_what_it_is(tmp_path, name):
    content, message = NO_CHECKPOINTS[name]
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(NotACheckpointError, match=message):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize(
    "content",
    [b'{"a": 1}', b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"# notes\n", b"cats\nand dogs\n", b"(c) 2020\n", b".",
     b"PKU data\n", pickle.dumps({"a": 1}), b"\x93NUMPY\x01\x00"],
)  # fmt: skip
def test_foreign_file(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(NotACheckpointError):
        read_checkpoint(tmp_path / "x.pt")


def test_safetensors_without_parameters(tmp_path):
    save_file({"index": torch.arange(3)}, tmp_path / "x")
    with pytest.raises(NotACheckpointError, match="no floating-point tensor"):
        read_checkpoint(tmp_path / "x")


def write(kind, path):
    if kind == "safetensors":
        save_file(dict(state_dict()), path)
    else:
        torch.save({"model": state_dict(), "epoch": 1}, path, _use_new_zipfile_serialization=kind == "zip")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_anywhere_is_corrupt(tmp_path, kind):
    write(kind, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    read_checkpoint(tmp_path / "whole")
    shortest = 9 if kind == "safetensors" else 0  # eight bytes and a brace are what tells a safetensors file
    cut = tmp_path / "cut"
    for length in {shortest, *range(shortest + 1, len(whole), max(1, len(whole) // 60)), len(whole) - 1}:
        cut.write_bytes(whole[:length])
        with pytest.raises(CorruptCheckpointError, match=r"^\S+cut: [^\n]+$"):
            read_checkpoint(cut)


def test_damaged_inside_is_corrupt(tmp_path):
    write("zip", tmp_path / "x")
    damaged = bytearray((tmp_path / "x").read_bytes())
    start = damaged.index(b"\x80\x02")
    damaged[start : start + 8] = b"\xff" * 8
    (tmp_path / "x").write_bytes(damaged)
    with pytest.raises(CorruptCheckpointError):
        read_checkpoint(tmp_path / "x")


def test_cannot_be_opened(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CheckpointError, match=r"^\S+: cannot be opened: [^\n]+$"):
            read_checkpoint(path)


def test_writing_to_a_tensor_never_reaches_the_file(tmp_path):
    for kind in ("zip", "safetensors"):
        write(kind, tmp_path / kind)
        before = (tmp_path / kind).read_bytes()
        read_checkpoint(tmp_path / kind).parameters["b.weight"].fill_(9)
        assert (tmp_path / kind).read_bytes() == before
