"""A file cut at any byte is a documented error of one line, or is read whole; never anything else."""

import collections
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save

from grokprobe.checkpoints import read_checkpoint
from grokprobe.errors import CheckpointError
from unit.checkpoints.distributed_files import write_distributed, write_metadata
from unit.checkpoints.test_sharded import write_sharded

WEIGHTS = {"w": torch.arange(3.0), "b": torch.ones(2)}


def write_torch(directory, content=WEIGHTS, **options):
    torch.save(content, directory / "x", **options)
    return directory / "x"


def write_bytes(directory, content):
    (directory / "x").write_bytes(content)
    return directory / "x"


def write_arrays(directory, save_arrays):
    save_arrays(directory / "x.npz", w=np.arange(3.0), b=np.ones(2), epoch=np.int64(1))
    return directory / "x.npz"


#: Format → what writes a good checkpoint to a directory; it returns the file that is read.
WRITERS = {
    "torch zip": lambda directory: write_torch(directory, {"model": WEIGHTS, "epoch": 1}),
    "torch legacy": lambda directory: write_torch(directory, _use_new_zipfile_serialization=False),
    "module, zip": lambda directory: write_torch(directory, torch.nn.Linear(2, 1)),
    "module, pickle 2": lambda directory: write_bytes(directory, pickle.dumps(torch.nn.Linear(2, 1), protocol=2)),
    "module, pickle 5": lambda directory: write_bytes(directory, pickle.dumps(torch.nn.Linear(2, 1), protocol=5)),
    "arrays, pickle 0": lambda directory: write_bytes(directory, pickle.dumps({"w": np.ones(2)}, protocol=0)),
    "safetensors": lambda directory: write_bytes(directory, save(WEIGHTS, metadata={"epoch": "1"})),
    "npz": lambda directory: write_arrays(directory, np.savez),
    "npz, compressed": lambda directory: write_arrays(directory, np.savez_compressed),
    "index of shards": write_sharded,
    "index of shards, bin": lambda directory: write_sharded(directory, kind="bin"),
    "distributed": lambda directory: write_metadata(
        directory, write_distributed(directory, {"m.w": torch.arange(2.0), "epoch": 3}, num_pieces=1)
    ),
}


def read(path):
    content = read_checkpoint(path)
    return {name: tensor.tolist() for name, tensor in content.parameters.items()}, content.epoch


def outcome_of(path, expected):
    """Returns ``read`` for an equal content, else the class of the error, whose message is one line."""
    try:
        found = read(path)
    except CheckpointError as error:
        return type(error).__name__ if "\n" not in str(error) else f"several lines: {error}"
    return "read" if found == expected else f"read otherwise: {found}"


def cut_everywhere(path, cut, expected):
    """Returns how often each outcome is seen when ``path`` is read and ``cut`` is shortened to every length."""
    whole = cut.read_bytes()
    outcomes = collections.Counter()
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        outcomes[outcome_of(path, expected)] += 1
    cut.write_bytes(whole)
    return outcomes


@pytest.mark.parametrize("name", WRITERS)
def test_cut_at_every_byte(tmp_path, name):
    path = WRITERS[name](tmp_path)
    expected = read(path)
    for file in sorted({path, *read_checkpoint(path).parts}):
        outcomes = cut_everywhere(path, file, expected)
        assert outcomes.keys() <= {"CorruptCheckpointError", "NotACheckpointError"}, outcomes
        # before its last byte a pickle without a magic number is text, and so is the beginning of a safetensors file
        assert outcomes["CorruptCheckpointError"] > 0.9 * file.stat().st_size or name == "arrays, pickle 0"
    assert read(path) == expected


def test_an_index_cut_within_its_white_space_is_read(tmp_path):
    path = write_sharded(tmp_path)
    path.write_text(path.read_text() + " \n")
    assert cut_everywhere(path, path, read(path))["read"] == 2
