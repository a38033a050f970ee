"""Files written tensor by tensor are those that the library writes."""

import pytest
import torch
from safetensors.torch import save

from grokprobe.checkpoints import read_checkpoint
from grokprobe.checkpoints.contents import ParameterTensors
from grokprobe.checkpoints.safetensors_files import TYPES
from grokprobe.checkpoints.tensor_writing import stream_tensors

METADATA = {"step": "3", "epoch": "1", 'odd "name"': "ü\n"}


def make_tensors():
    values = {f"{name}.{k}": torch.arange(3.0 + k).to(dtype) for name, dtype in TYPES.items() for k in range(2)}
    shapes = {"number": torch.tensor(2.0), "none": torch.zeros(0, 4), "transposed": torch.arange(6.0).reshape(2, 3).T}
    return {"ü \n": torch.ones(1), **values, **shapes, 'a"b': torch.ones(2)}


@pytest.mark.parametrize("metadata", [METADATA, {}])
def test_equal_bytes(tmp_path, metadata):
    tensors = make_tensors()
    stream_tensors(tmp_path / "x", tensors, metadata)
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    expected = save(contiguous, metadata=dict(sorted(metadata.items())) or None)
    assert read_checkpoint(tmp_path / "x").shapes.keys() == tensors.keys()
    found = (tmp_path / "x").read_bytes()
    assert len(found) == len(expected)
    if len(metadata) < 2:  # the library writes several entries in any order
        assert found == expected


def test_what_cannot_be_read_leaves_nothing_behind(tmp_path):
    class Broken(ParameterTensors):
        def __getitem__(self, name):
            raise KeyError(name)

    with pytest.raises(KeyError):
        stream_tensors(tmp_path / "x", Broken({"w": torch.ones(2)}), {})
    assert list(tmp_path.iterdir()) == []
