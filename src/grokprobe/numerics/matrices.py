"""Size and effective rank of a weight matrix."""

from dataclasses import dataclass
from typing import Final

import torch

from grokprobe.numerics.blocks import BLOCK_ELEMENTS
from grokprobe.numerics.lanczos import compute_ritz_values
from grokprobe.numerics.streams import build_generator

UNDEFINED: Final = float("nan")
#: Elements of a matrix up to which all its singular values are computed.
DENSE_ELEMENTS: Final = 1 << 21
#: Sides up to which the eigenvalues of a Gram matrix are computed directly.
_DIRECT_SIDE: Final = 4096
#: Rows of a Gram matrix that are computed together.
_ROWS: Final = 256
#: Steps of Lanczos at first, doubled until it has converged.
_FIRST_STEPS: Final = 128
#: Relative residual at which a Ritz value is taken: the error of the value is of the order of its square.
_RESIDUAL: Final = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixSize:
    """How large a matrix is, and how many directions its size is spread over.

    All are invariant to orthogonal rotations from the left and the right; the norms and the singular values scale with
    the absolute value of a factor, the stable rank does not change.
    """

    #: Frobenius norm ‖W‖_F = √Σ w².
    norm: float
    #: Largest singular value σ_max, at most the Frobenius norm.
    spectral_norm: float
    #: ‖W‖_F² / σ_max², between 1 and the rank; NaN for a matrix of zeros.
    stable_rank: float
    #: All singular values, from the largest on, float64 of shape (min(rows, columns),); None if not computed.
    singular_values: torch.Tensor | None


def compute_matrix_size(matrix: torch.Tensor, *, needs_spectrum: bool = False) -> MatrixSize:
    """Computes the norms and the stable rank of ``matrix``, in float64.

    A falling stable rank shows a layer that concentrates on fewer directions while it learns.

    They come from the singular values; in a matrix of more than :data:`DENSE_ELEMENTS` elements from its Gram matrix
    WWᵀ or WᵀW, the smaller, whose trace is ‖W‖_F² and whose largest eigenvalue is σ_max². Both are as accurate as
    singular values are: it is the small ones that a Gram matrix loses. Of W only a block at a time is in float64.

    Args:
        matrix: shape (rows, columns), of any floating-point type.
        needs_spectrum: whether all singular values are wanted of a large matrix, too.

    Returns:
        The sizes; all NaN if an entry is not finite.

    Reference:
        M. Rudelson, R. Vershynin, Sampling from large matrices, J. ACM 54 (2007), for the stable rank.

    Example:
        >>> size = compute_matrix_size(torch.eye(3))
        >>> assert abs(size.stable_rank - 3) < 1e-12 and abs(size.spectral_norm - 1) < 1e-12
    """
    matrix = matrix.detach()
    if matrix.numel() > DENSE_ELEMENTS and not needs_spectrum:
        return _from_gram(matrix)
    if not torch.isfinite(matrix).all():
        undefined = torch.full((min(matrix.shape),), UNDEFINED, dtype=torch.float64, device=matrix.device)
        return MatrixSize(norm=UNDEFINED, spectral_norm=UNDEFINED, stable_rank=UNDEFINED, singular_values=undefined)
    singular_values = torch.linalg.svdvals(matrix.to(torch.float64))
    largest = singular_values.max()
    return MatrixSize(
        norm=torch.linalg.vector_norm(singular_values).item(),
        spectral_norm=largest.item(),
        # The ratio is squared, not the values: tiny matrices would underflow. A matrix of zeros gives 0 / 0, NaN.
        stable_rank=(singular_values / largest).square().sum().item(),
        singular_values=singular_values,
    )


def _from_gram(matrix: torch.Tensor) -> MatrixSize:
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    blocks = wide.split(max(1, BLOCK_ELEMENTS // wide.shape[0]), dim=1)
    if not all(bool(torch.isfinite(block).all()) for block in blocks):
        return MatrixSize(norm=UNDEFINED, spectral_norm=UNDEFINED, stable_rank=UNDEFINED, singular_values=None)
    scale = max(block.abs().max().item() for block in blocks)
    if scale == 0:
        return MatrixSize(norm=0.0, spectral_norm=0.0, stable_rank=UNDEFINED, singular_values=None)
    gram = torch.zeros(wide.shape[0], wide.shape[0], dtype=torch.float64, device=wide.device)
    for block in blocks:
        dense = block.to(torch.float64) / scale  # else the squares of tiny entries underflow
        for start in range(0, len(dense), _ROWS):  # the other half is its mirror image
            gram[start : start + _ROWS, start:].addmm_(dense[start : start + _ROWS], dense[start:].T)
    total, largest = gram.trace().item(), _find_largest(gram)
    return MatrixSize(
        norm=scale * total**0.5,
        spectral_norm=scale * largest**0.5,
        stable_rank=total / largest,
        singular_values=None,
    )


def _find_largest(gram: torch.Tensor) -> float:
    """Returns the largest eigenvalue of a symmetric matrix whose upper half is given."""
    side = len(gram)
    if side <= _DIRECT_SIDE:
        return torch.linalg.eigvalsh(gram, UPLO="U")[-1].item()
    gram = gram.triu_() + gram.triu(1).T
    num_steps = _FIRST_STEPS
    while True:  # ends at the latest with as many steps as there are eigenvalues
        found = compute_ritz_values(gram.mv, side, num_steps, build_generator(0), gram.device)
        if found.errors[0] <= _RESIDUAL * found.values[0] or num_steps >= side:
            return found.values[0].item()
        num_steps *= 2
