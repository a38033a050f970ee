"""Extreme eigenvalues of a symmetric matrix that is known by its products with vectors."""

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class RitzValues:
    """Approximate eigenvalues, each with a bound on its distance to the nearest eigenvalue."""

    #: Ritz values θ_i, descending, float64, shape (num_iterations,).
    values: torch.Tensor
    #: Residual norms ‖A y_i − θ_i y_i‖ = β_m |s_mi|: an eigenvalue lies within this distance of θ_i. Same shape.
    errors: torch.Tensor


def compute_ritz_values(
    product: Callable[[torch.Tensor], torch.Tensor],
    dimension: int,
    num_iterations: int,
    generator: torch.Generator,
    device: torch.device | None = None,
) -> RitzValues:
    """Runs Lanczos with full reorthogonalisation from a random start; the recurrence is in float64.

    After m steps A Q = Q T + β_m q_{m+1} e_mᵀ with orthonormal Q and tridiagonal T; the Ritz values are the eigenvalues
    of T, and with T s_i = θ_i s_i the residual of y_i = Q s_i has the norm β_m |s_mi|. The values at both ends of the
    spectrum converge first.

    Properties: m = dimension gives every eigenvalue with its multiplicity; a Ritz value never lies outside the
    spectrum; rotating A changes nothing but the effect of the start. The bound is rigorous for *an* eigenvalue in exact
    arithmetic: one that the start is orthogonal to may be missed, and so are further copies of a multiple eigenvalue
    until the Krylov space is exhausted, whereupon the iteration goes on from a new random vector. Rounding of the
    products themselves, a few times their precision relative to the largest |eigenvalue|, comes on top.

    Args:
        product: v ↦ A v for a symmetric A; v is float64 of shape (dimension,).
        dimension: at least 1.
        num_iterations: number m of products; more than ``dimension`` are not made. m + 1 vectors are held.
        generator: draws the start, and each new one.
        device: where the vectors are; None for the CPU.

    Returns:
        min(num_iterations, dimension) Ritz values; all NaN if a product is not finite.

    Reference:
        C. C. Paige, J. Inst. Maths Applics 18 (1976) 341; B. N. Parlett, The Symmetric Eigenvalue Problem, chapter 13.

    Example:
        >>> found = compute_ritz_values(lambda v: 3 * v, 4, 4, torch.Generator().manual_seed(0))
        >>> assert torch.allclose(found.values, torch.full((4,), 3.0, dtype=torch.float64))
    """
    num_steps = min(num_iterations, dimension)
    basis = torch.zeros(num_steps, dimension, dtype=torch.float64, device=device)
    tridiagonal = torch.zeros(num_steps, num_steps, dtype=torch.float64)
    basis[0] = _draw_orthogonal(basis[:0], generator)
    scale = residual = 0.0
    for step in range(num_steps):
        image = product(basis[step]).to(torch.float64)
        if not torch.isfinite(image).all():
            undefined = torch.full((num_steps,), torch.nan, dtype=torch.float64)
            return RitzValues(values=undefined, errors=undefined.clone())
        tridiagonal[step, step] = torch.dot(basis[step], image).item()
        scale = max(scale, torch.linalg.vector_norm(image).item())
        image = _orthogonalised(image, basis[: step + 1])
        residual = torch.linalg.vector_norm(image).item()
        is_exhausted = residual <= dimension * torch.finfo(torch.float64).eps * scale
        if is_exhausted:
            residual = 0.0
        if step + 1 < num_steps:
            tridiagonal[step, step + 1] = tridiagonal[step + 1, step] = residual
            basis[step + 1] = _draw_orthogonal(basis[: step + 1], generator) if is_exhausted else image / residual
    values, vectors = torch.linalg.eigh(tridiagonal)
    return RitzValues(values=values.flip(0), errors=(residual * vectors[-1]).abs().flip(0))


def _orthogonalised(vector: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """Returns ``vector`` without its part along the orthonormal rows of ``basis``."""
    for _ in range(2):  # once leaves rounding of the size of what was taken off; twice is enough
        vector = vector - basis.T @ (basis @ vector)
    return vector


def _draw_orthogonal(basis: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Returns a random unit vector orthogonal to the rows of ``basis``, of which there are fewer than columns."""
    vector = torch.randn(basis.shape[1], dtype=torch.float64, generator=generator).to(basis.device)
    vector = _orthogonalised(vector, basis)
    return vector / torch.linalg.vector_norm(vector)
