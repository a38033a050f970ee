"""Size and effective rank of a weight matrix."""

from dataclasses import dataclass
from typing import Final

import torch

UNDEFINED: Final = float("nan")


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
    #: All singular values, from the largest on, float64 of shape (min(rows, columns),).
    singular_values: torch.Tensor


def compute_matrix_size(matrix: torch.Tensor) -> MatrixSize:
    """Computes the norms and the stable rank of ``matrix`` from its singular values, in float64.

    A falling stable rank shows a layer that concentrates on fewer directions while it learns.

    Args:
        matrix: shape (rows, columns).

    Returns:
        The sizes; all NaN if an entry is not finite.

    Reference:
        M. Rudelson, R. Vershynin, Sampling from large matrices, J. ACM 54 (2007), for the stable rank.

    Example:
        >>> size = compute_matrix_size(torch.eye(3))
        >>> assert abs(size.stable_rank - 3) < 1e-12 and abs(size.spectral_norm - 1) < 1e-12
    """
    if not torch.isfinite(matrix).all():
        undefined = torch.full((min(matrix.shape),), UNDEFINED, dtype=torch.float64, device=matrix.device)
        return MatrixSize(norm=UNDEFINED, spectral_norm=UNDEFINED, stable_rank=UNDEFINED, singular_values=undefined)
    singular_values = torch.linalg.svdvals(matrix.detach().to(torch.float64))
    largest = singular_values.max()
    return MatrixSize(
        norm=torch.linalg.vector_norm(singular_values).item(),
        spectral_norm=largest.item(),
        # The ratio is squared, not the values: tiny matrices would underflow. A matrix of zeros gives 0 / 0, NaN.
        stable_rank=(singular_values / largest).square().sum().item(),
        singular_values=singular_values,
    )
