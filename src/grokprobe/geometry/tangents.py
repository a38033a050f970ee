"""Which tensors a tangent vector changes."""

from collections.abc import Sequence

import torch

from grokprobe.interfaces import Context, Parameters


def find_weights(context: Context) -> dict[str, torch.Tensor]:
    """Returns the parameters that change along the run.

    A tensor that never changes is a buffer: part of the network and not of its path. It would count only in the vector
    to the origin.
    """
    constant = context.subject.constant
    return {name: tensor for name, tensor in context.parameters.items() if name not in constant}


def select_weights(context: Context, tangents: Sequence[Parameters]) -> list[dict[str, torch.Tensor]]:
    """Returns the tangents without the tensors that never change."""
    names = find_weights(context)
    return [{name: tensor for name, tensor in tangent.items() if name in names} for tangent in tangents]
