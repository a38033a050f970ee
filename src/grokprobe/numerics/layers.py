"""The weight tensors of a network seen as layers."""

from collections.abc import Collection

import torch


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
    """Returns ``weights`` as a float64 matrix with one row per output: shape ``(out, everything else)``.

    The kernel of a convolution, ``(out, in, height, width)``, becomes ``(out, in · height · width)``.

    Args:
        weights: shape (out, …), at least two dimensions.
    """
    return weights.detach().to(torch.float64).flatten(start_dim=1)
