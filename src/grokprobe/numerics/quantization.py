"""Numbers on a uniform grid of few levels."""

from typing import Final

import torch

#: Bits from which on the stored numbers are taken as they are.
FULL_BITS: Final = 32


def quantize_uniformly(tensor: torch.Tensor, bits: int) -> torch.Tensor:
    """Rounds every entry to the nearest level of a grid that is uniform, symmetric about zero and spans the tensor.

    With M = max |w| over the whole tensor and b bits there are 2^b − 1 levels, the multiples q Δ with |q| ≤ 2^(b−1) − 1
    of the step Δ = M / (2^(b−1) − 1), so that zero and ±M are levels (the 2^b-th code, which would stand on one side
    alone, is not used). An entry halfway between two levels goes to the even q.

    How few bits suffice says how precisely the weights have to be known, apart from how many of them there are.

    Properties: odd in w; scales with a factor; |w' − w| ≤ Δ/2; at most 2^b − 1 different values; 2 bits are the ternary
    grid {−M, 0, M}; with 1 bit, as with 0, zero is the only level. At :data:`FULL_BITS` or more the tensor is returned
    itself. Levels are computed in float64 and rounded to the tensor's own type.

    Args:
        tensor: any shape; not modified.
        bits: non-negative.

    Returns:
        The shape and type of ``tensor``; all NaN if an entry is NaN or infinite and there is more than one level.

    Reference:
        B. Jacob et al., Quantization and training of neural networks, CVPR 2018, in the form without an offset.

    Example:
        >>> weights = torch.tensor([-1.0, -0.4, 0.3, 0.8])
        >>> assert quantize_uniformly(weights, 2).tolist() == [-1, 0, 0, 1]
    """
    if bits >= FULL_BITS:
        return tensor
    if bits <= 1 or tensor.numel() == 0:
        return torch.zeros_like(tensor)
    exact = tensor.detach().to(torch.float64)
    largest = exact.abs().max()
    num_positive = 2 ** (bits - 1) - 1
    levels = (exact / largest * num_positive).round() * (largest / num_positive)
    return torch.where(largest == 0, 0.0, levels).to(tensor.dtype)
