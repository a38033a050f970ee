"""Large tensors in blocks, so that only a block at a time is held in float64."""

from collections.abc import Iterator
from typing import Final

import torch

#: Elements of a block.
BLOCK_ELEMENTS: Final = 1 << 22


def split_blocks(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yields the elements of tensors of one shape in flat order, a block of each at a time, as float64 vectors.

    Example:
        >>> [(block,)] = split_blocks(torch.eye(2))
        >>> assert block.tolist() == [1, 0, 0, 1] and block.dtype == torch.float64
    """
    flat = [tensor.detach().reshape(-1) for tensor in tensors]
    for blocks in zip(*(tensor.split(BLOCK_ELEMENTS) for tensor in flat), strict=True):
        yield tuple(block.to(torch.float64) for block in blocks)


def as_narrow(tensor: torch.Tensor) -> torch.Tensor:
    """Returns ``tensor`` in a type with arithmetic: one of eight bits as bfloat16, which holds its values exactly."""
    return tensor.to(torch.bfloat16) if tensor.dtype.itemsize == 1 else tensor
