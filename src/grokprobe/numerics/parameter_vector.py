"""All parameters of a network as one vector."""

from collections.abc import Mapping

import torch


def flatten(tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Returns the entries of all ``tensors`` as one float64 vector, in their order, each in C order.

    Args:
        tensors: real, any shapes, at least one.

    Example:
        >>> assert flatten({"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor(3.0)}).tolist() == [1, 2, 3]
    """
    return torch.cat([tensor.detach().to(torch.float64).flatten() for tensor in tensors.values()])


def unflatten(vector: torch.Tensor, like: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns tensors named, shaped and typed as those of ``like``, with the entries of ``vector``.

    It undoes :func:`flatten`, up to rounding to the type of each tensor.

    Args:
        vector: shape (total number of entries of ``like``,).
        like: the tensors whose names, shapes and types are taken.

    Example:
        >>> like = {"a": torch.zeros(1, 2), "b": torch.zeros(())}
        >>> assert unflatten(torch.tensor([1.0, 2.0, 3.0]), like)["b"] == 3
    """
    parts = vector.split([tensor.numel() for tensor in like.values()])
    return {name: part.reshape(like[name].shape).to(like[name]) for name, part in zip(like, parts, strict=True)}
