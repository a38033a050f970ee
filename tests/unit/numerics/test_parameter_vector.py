import torch

from grokprobe.numerics.parameter_vector import flatten, unflatten

TENSORS = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(7.0), "c": torch.tensor([8.0]).double()}


def test_flat_is_in_order_and_float64():
    vector = flatten(TENSORS)
    assert vector.tolist() == [0, 3, 1, 4, 2, 5, 7, 8]
    assert vector.dtype == torch.float64


def test_there_and_back():
    found = unflatten(flatten(TENSORS), TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
