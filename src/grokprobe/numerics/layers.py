"""The weight tensors of a network seen as layers."""

from collections.abc import Collection, Mapping
from typing import Final

import torch

from grokprobe.numerics.blocks import as_narrow

#: Names of the tensors in which a normalisation keeps the mean and the variance of what it has seen.
RUNNING_STATISTICS: Final = ("running_mean", "running_var")


def find_running_statistics(shapes: Mapping[str, tuple[int, ...]]) -> frozenset[str]:
    """Returns the names of the running means and variances of normalisations: part of a network, and no weights.

    They are told by their names, which come in pairs beside each other with one shape.

    Args:
        shapes: of all tensors of a network, by name.

    Example:
        >>> shapes = {"norm.running_mean": (4,), "norm.running_var": (4,), "norm.weight": (4,)}
        >>> assert find_running_statistics(shapes) == {"norm.running_mean", "norm.running_var"}
    """
    pairs = [
        tuple(name.removesuffix(RUNNING_STATISTICS[0]) + own for own in RUNNING_STATISTICS)
        for name in shapes
        if name.rpartition(".")[2] == RUNNING_STATISTICS[0]
    ]
    return frozenset(name for pair in pairs if shapes[pair[0]] == shapes.get(pair[1]) for name in pair)


def layer_label(parameter: str, parameters: Collection[str]) -> str:
    """Returns the name of the layer that ``parameter`` is the weight of.

    It is the parameter's name without a trailing ``.weight``, or the whole name where another parameter has the short
    one.

    Args:
        parameter: name of a weight tensor.
        parameters: names of all parameters of the network.

    Example:
        >>> assert layer_label("input.weight", ["input.weight", "input.bias"]) == "input"
        >>> assert layer_label("mlp.W_in", ["mlp.W_in"]) == "mlp.W_in"
    """
    label = parameter.removesuffix(".weight")
    return parameter if label in parameters else label


def as_matrix(weights: torch.Tensor) -> torch.Tensor:
    """Returns ``weights`` as a matrix with one row per output: shape ``(out, everything else)``.

    The kernel of a convolution, ``(out, in, height, width)``, becomes ``(out, in · height · width)``. The type stays,
    but for one of eight bits, which has no arithmetic and becomes bfloat16.

    Args:
        weights: shape (out, …), at least two dimensions.
    """
    return as_narrow(weights.detach()).flatten(start_dim=1)
