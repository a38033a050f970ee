"""The eigenvectors of the Fisher matrix of a small network."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import torch

from grokprobe.errors import UsageError
from grokprobe.numerics.layer_trace import Differentiable
from grokprobe.numerics.output_fisher import OutputFisher
from grokprobe.numerics.sample_gradients import collect_sample_gradients
from grokprobe.numerics.stiff_subspace import StiffDirections

#: Side of the largest matrix that is diagonalised.
MAX_SIDE: Final = 4096
#: Numbers of the largest matrix that is kept: half a gibibyte in float64.
MAX_NUMBERS: Final = 1 << 26
#: Eigenvalues below this fraction of the largest are rounding of the gradients.
RANK_TOLERANCE: Final = 1e-8


def compute_fisher_directions(
    network: Differentiable,
    parameters: Mapping[str, torch.Tensor],
    inputs: torch.Tensor,
    output_fisher: OutputFisher,
    *,
    names: Collection[str] | None = None,
) -> StiffDirections:
    """Computes all eigenvectors with a positive eigenvalue of F = E_x[JᵀGJ], the mean over all inputs.

    With A the matrix of all vectors Jᵀu_d, one a row, F = AᵀA / n. The smaller one of AᵀA / n and of the dual matrix
    AAᵀ / n is diagonalised: both have the same positive eigenvalues, and u of the dual gives Aᵀu / √(nλ) of F.

    Args:
        network: treats every sample by itself.
        parameters: where; not modified.
        inputs: shape (num_samples, …), at least one sample.
        output_fisher: which Fisher information.
        names: the parameters to differentiate by; None for all.

    Returns:
        Eigenvalues of at least 10⁻⁸ of the largest; those below are rounding.

    Raises:
        UsageError: no sample, or both matrices are too large: the network is not small.

    Example:
        >>> from grokprobe.numerics.layer_trace import PlainFunction
        >>> from grokprobe.numerics.output_fisher import IdentityFisher
        >>> plane = PlainFunction(apply=lambda own, x: x @ own["w"])
        >>> x = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
        >>> found = compute_fisher_directions(plane, {"w": torch.ones(2, 1)}, x, IdentityFisher())
        >>> assert torch.allclose(found.eigenvalues, torch.tensor([12.5], dtype=torch.float64))
        >>> assert torch.allclose(found.vectors.abs().flatten(), torch.tensor([0.6, 0.8], dtype=torch.float64))
    """
    if len(inputs) == 0:
        raise UsageError("Fisher information: expected at least one sample, found none")
    wanted = tuple(name for name in parameters if names is None or name in names)
    num_parameters = sum(parameters[name].numel() for name in wanted)
    with torch.no_grad():
        num_rows = len(inputs) * network.apply(parameters, inputs[:1]).numel()
    _refuse_large(num_parameters, num_rows)
    rows = _collect_rows(network, parameters, wanted, inputs, output_fisher)
    if num_rows < num_parameters:
        matrix = torch.cat(list(rows))
        squares, left = torch.linalg.eigh(matrix @ matrix.T)
        kept = _kept(squares)
        vectors = matrix.T @ left[:, kept] / squares[kept].sqrt()
    else:
        total = torch.zeros(num_parameters, num_parameters, dtype=torch.float64, device=inputs.device)
        for block in rows:
            total += block.T @ block
        squares, vectors = torch.linalg.eigh(total)
        kept = _kept(squares)
        vectors = vectors[:, kept]
    return StiffDirections(
        eigenvalues=(squares[kept] / len(inputs)).flip(0), vectors=vectors.flip(1).contiguous(), names=wanted
    )


def _collect_rows(
    network: Differentiable,
    parameters: Mapping[str, torch.Tensor],
    wanted: tuple[str, ...],
    inputs: torch.Tensor,
    output_fisher: OutputFisher,
) -> Iterator[torch.Tensor]:
    """Yields the vectors Jᵀu_d in blocks, float64, one a row."""
    for block in collect_sample_gradients(network, parameters, wanted, inputs, output_fisher):
        yield torch.cat([block[name].to(torch.float64).flatten(start_dim=1) for name in wanted], dim=1)


def _kept(squares: torch.Tensor) -> torch.Tensor:
    return squares > RANK_TOLERANCE * squares[-1].clamp(min=0.0)


def _refuse_large(num_parameters: int, num_rows: int) -> None:
    side, numbers = min(num_parameters, num_rows), num_parameters * min(num_parameters, num_rows)
    if side > MAX_SIDE or numbers > MAX_NUMBERS:
        raise UsageError(
            f"eigenvectors of the Fisher matrix: expected at most {MAX_SIDE} parameters, or samples times outputs,"
            f" found {num_parameters} and {num_rows}; take the split along parameters"
        )
