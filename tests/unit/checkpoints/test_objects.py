"""Whole modules and objects are read as their state dict would be, by a reader that imports and calls nothing."""

import argparse
import enum
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from grokprobe.checkpoints import read_checkpoint
from grokprobe.errors import NotACheckpointError, UnsafeCheckpointError
from unit.checkpoints.foreign_classes import Unknown, known_as


class Block(nn.Module):
    """Everything that a state dict can hold, and what it leaves out."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict({"first": nn.Linear(3, 4), "norm": nn.BatchNorm1d(4)})
        self.scales = nn.ParameterList([nn.Parameter(torch.full((2,), float(k))) for k in range(2)])
        self.register_buffer("mask", torch.tensor([1.0, 0.0]))
        self.register_buffer("scratch", torch.ones(5), persistent=False)
        self.register_parameter("none", None)
        self.tied = nn.Linear(3, 4, bias=False)
        self.tied.weight = self.layers["first"].weight
        self.own = nn.Parameter(torch.randn(2, 2, dtype=torch.bfloat16))
        self.note = {"any": ["thing", self.mask]}


class Colour(enum.Enum):
    RED = 1


class AttributeDict(dict):
    """A dict with attributes, as Lightning keeps hyper-parameters."""


class Trainer:
    """An object that holds a network, an optimizer and settings."""

    def __init__(self, network):
        self.network = network
        self.optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        self.epoch = 7
        self.path, self.colour, self.args = Path("x"), Colour.RED, argparse.Namespace(lr=0.1)


FOREIGN = {"strange__models__Block": Block, "strange__Trainer": Trainer, "strange__Colour": Colour}


#: Way of writing → what it does.
WRITERS = {
    "zip": torch.save,
    "zip-4": lambda content, path: torch.save(content, path, pickle_protocol=4),
    "legacy": lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    **{
        f"pickle-{n}": lambda content, path, n=n: path.write_bytes(pickle.dumps(content, protocol=n)) for n in (3, 4, 5)
    },
}


def write(how, content, path):
    with known_as(**FOREIGN):
        WRITERS[how](content, path)


def check_equal(found, expected):
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def floating(module):
    return {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("how", WRITERS)
def test_a_module_is_its_state_dict(tmp_path, how):
    module = Block()
    write(how, module, tmp_path / "x")
    before = set(sys.modules)
    content = read_checkpoint(tmp_path / "x")
    check_equal(content.parameters, floating(module))
    assert content.other_tensors == ("layers.norm.num_batches_tracked",)
    assert (content.wrapper, content.format) == ("", "pickle" if how.startswith("pickle") else "torch")
    assert "strange.models.Block" in content.unread
    assert "torch.nn.modules.linear.Linear" in content.unread
    assert not any(name.startswith("strange") for name in set(sys.modules) - before)


@pytest.mark.parametrize("how", WRITERS)
def test_an_object_that_holds_a_module(tmp_path, how):
    trainer = Trainer(nn.Linear(3, 2))
    write(how, trainer, tmp_path / "x")
    content = read_checkpoint(tmp_path / "x")
    check_equal(content.parameters, trainer.network.state_dict())
    assert (content.wrapper, content.epoch) == ("network", 7)
    assert {"strange.Trainer", "strange.Colour", "argparse.Namespace"} <= set(content.unread)


@pytest.mark.parametrize("how", ["zip", "zip-4", "legacy"])
def test_what_stands_beside_a_state_dict_is_left_unread(tmp_path, how):
    hyper = AttributeDict(width=4, loss=nn.CrossEntropyLoss(), colour=Colour.RED)
    content = {"state_dict": nn.Linear(3, 2).state_dict(), "epoch": 3, "global_step": 40, "hyper_parameters": hyper}
    write(how, content, tmp_path / "x")
    found = read_checkpoint(tmp_path / "x")
    check_equal(found.parameters, content["state_dict"])
    assert (found.epoch, found.step, found.wrapper) == (3, 40, "state_dict")
    assert "strange.Colour" in found.unread


def test_arrays_of_numpy_in_a_pickle(tmp_path):
    weights = {"w": np.arange(6.0).reshape(2, 3), "b": np.ones(2, ">f4"), "count": np.arange(3), "k": np.float64(2)}
    (tmp_path / "x").write_bytes(pickle.dumps({"params": weights, "epoch": np.int64(4)}))
    with pytest.raises(NotACheckpointError, match="a mapping without named floating-point tensors"):
        read_checkpoint(tmp_path / "x")  # a number among the parameters: no state dict
    del weights["k"]
    (tmp_path / "x").write_bytes(pickle.dumps({"params": weights, "epoch": np.int64(4)}))
    found = read_checkpoint(tmp_path / "x")
    check_equal(found.parameters, {"w": torch.arange(6.0, dtype=torch.float64).reshape(2, 3), "b": torch.ones(2)})
    assert (found.other_tensors, found.epoch, found.format) == (("count",), 4, "pickle")


def test_an_old_ordered_dict_of_pairs(tmp_path):
    pairs = b"ccollections\nOrderedDict\n((lp0\n(lp1\nS'w'\nacstrange\nf\n(tRaatR."
    (tmp_path / "x").write_bytes(pairs)
    with pytest.raises(UnsafeCheckpointError, match=r"it needs strange\.f"):
        read_checkpoint(tmp_path / "x")


def test_tensors_are_mapped_and_writing_reaches_neither_file_nor_the_next_reading(tmp_path):
    write("zip", Trainer(nn.Linear(3, 2)), tmp_path / "x")
    before = (tmp_path / "x").read_bytes()
    expected = read_checkpoint(tmp_path / "x").parameters["weight"].clone()
    read_checkpoint(tmp_path / "x").parameters["weight"].fill_(9)
    assert (tmp_path / "x").read_bytes() == before
    assert torch.equal(read_checkpoint(tmp_path / "x").parameters["weight"], expected)


def nested_modules(depth, width):
    """Modules in modules: ``width`` names for the one below at each of ``depth`` levels."""
    module = nn.Linear(1, 1)
    for _ in range(depth):
        outer = nn.Module()
        for k in range(width):
            outer._modules[f"m{k}"] = module
        module = outer
    return module


@pytest.mark.parametrize(("depth", "width"), [(20, 2), (150, 1)], ids=["many names", "deep"])
def test_modules_without_end_are_refused(tmp_path, depth, width):
    torch.save(nested_modules(depth, width), tmp_path / "x")
    with pytest.raises(UnsafeCheckpointError, match="expected a network of at most 100000 tensors, 100 levels deep"):
        read_checkpoint(tmp_path / "x")


def test_a_module_that_contains_itself_is_refused(tmp_path):
    module = nn.Linear(1, 1)
    module._modules["self"] = module
    torch.save(module, tmp_path / "x")
    with pytest.raises(UnsafeCheckpointError, match="a module may contain itself"):
        read_checkpoint(tmp_path / "x")


def test_nesting_and_sharing_take_no_time(tmp_path):
    shared = [Unknown()]
    for _ in range(60):
        shared = [shared, shared]
    deep = []
    for _ in range(100):
        deep = [deep]
    with known_as(strange__Unknown=Unknown):
        torch.save({"shared": shared, "deep": deep, "model": {"w": torch.ones(1)}}, tmp_path / "x")
    assert list(read_checkpoint(tmp_path / "x").parameters) == ["w"]
