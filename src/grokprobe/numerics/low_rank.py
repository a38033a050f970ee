"""A weight tensor by the leading part of its singular values."""

from dataclasses import dataclass

import torch

from grokprobe.numerics.layers import as_matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class SingularValueForm:
    """A weight tensor W = U diag(σ) Vᵀ as a matrix (out, everything else), in float64."""

    #: The tensor itself.
    tensor: torch.Tensor
    #: U, shape (rows, min(rows, columns)); None where the tensor is not finite.
    left: torch.Tensor | None
    #: σ_k v_k, from the largest σ on, shape (min(rows, columns), columns); None likewise.
    scaled_right: torch.Tensor | None

    @property
    def full_rank(self) -> int:
        """The number of singular values, min(rows, columns)."""
        rows = len(self.tensor)
        return min(rows, self.tensor.numel() // max(rows, 1))

    def truncate(self, amount: float) -> torch.Tensor:
        """Returns the tensor with a share of its singular values set to zero, the smallest first.

        The r = (1 − amount) · min(rows, columns) largest remain, rounded to the nearest whole number, halves to the
        even one: Σ_{k ≤ r} σ_k u_k v_kᵀ, of all matrices of rank r the nearest in the Frobenius norm. Where no value is
        dropped the tensor is returned itself.

        Args:
            amount: the fraction of singular values dropped, in [0, 1].

        Returns:
            In the shape and type of the tensor; zeros at 1. A tensor that is not finite is NaN in between.

        Example:
            >>> outer = torch.outer(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0, 2.0]))
            >>> assert torch.allclose(decompose(outer).truncate(0.5), outer)
        """
        rank = round((1 - amount) * self.full_rank)
        if rank == self.full_rank:
            return self.tensor
        if rank == 0:
            return torch.zeros_like(self.tensor)
        if self.left is None or self.scaled_right is None:
            return torch.full_like(self.tensor, torch.nan)
        return (self.left[:, :rank] @ self.scaled_right[:rank]).view(self.tensor.shape).to(self.tensor.dtype)


def decompose(tensor: torch.Tensor) -> SingularValueForm:
    """Computes the singular value form of a weight tensor once, for any number of truncations.

    Where singular values are equal their vectors are not unique, and neither is a truncation between them.

    Args:
        tensor: shape (out, …), at least two dimensions; the kernel of a convolution is (out, in · height · width).

    Reference:
        C. Eckart, G. Young, The approximation of one matrix by another of lower rank, Psychometrika 1 (1936).
    """
    tensor = tensor.detach()
    if not torch.isfinite(tensor).all() or tensor.numel() == 0:
        return SingularValueForm(tensor=tensor, left=None, scaled_right=None)
    left, values, right = torch.linalg.svd(as_matrix(tensor), full_matrices=False)
    return SingularValueForm(tensor=tensor, left=left, scaled_right=values.unsqueeze(1) * right)
