"""Eigenvalues of the Fisher information matrix of a small network."""

from collections.abc import Collection, Mapping
from typing import Final

import torch

from grokprobe.errors import UsageError
from grokprobe.numerics.layer_trace import Differentiable
from grokprobe.numerics.output_fisher import OutputFisher
from grokprobe.numerics.sample_gradients import collect_sample_gradients

#: Side of the largest matrix that is diagonalised.
MAX_SIDE: Final = 4096
#: Numbers of the gradients that are kept at a time: half a gibibyte in float64 for two blocks.
BLOCK_NUMBERS: Final = 1 << 25


def compute_fisher_eigenvalues(
    network: Differentiable,
    parameters: Mapping[str, torch.Tensor],
    inputs: torch.Tensor,
    output_fisher: OutputFisher,
    *,
    names: Collection[str] | None = None,
) -> torch.Tensor:
    """Computes the eigenvalues of F = E_x[JᵀGJ], the mean over all inputs.

    With A the matrix of all vectors Jᵀu_d, one a row, F = AᵀA / n. The dual matrix AAᵀ / n has the same positive
    eigenvalues, and one row for each sample and direction; the smaller of both is diagonalised. The eigenvalues are
    squared lengths of the principal axes of what a network does to its outputs when its parameters move: few large ones
    mean that it can be changed in few ways that matter. Unlike the diagonal they do not change under a rotation of the
    parameters.

    Args:
        network: treats every sample by itself.
        parameters: where; not modified.
        inputs: shape (num_samples, …), at least one sample.
        output_fisher: which Fisher information.
        names: the parameters to differentiate by; None for all.

    Returns:
        Descending, non-negative, float64; as many as there are parameters or rows of A, whichever are fewer. All
        others are zero. Those below about 10⁻⁷ of the largest are rounding of float32 gradients. NaN if a gradient is
        not finite.

    Raises:
        UsageError: no sample, or a network and data that are both too large.

    Example:
        >>> from grokprobe.numerics.layer_trace import PlainFunction
        >>> from grokprobe.numerics.output_fisher import IdentityFisher
        >>> plane = PlainFunction(apply=lambda own, x: x @ own["w"])
        >>> x, w = torch.tensor([[3.0, 4.0]]), {"w": torch.ones(2, 1)}
        >>> found = compute_fisher_eigenvalues(plane, w, x, IdentityFisher())
        >>> assert torch.allclose(found, torch.tensor([25.0], dtype=torch.float64))
    """
    if len(inputs) == 0:
        raise UsageError("Fisher information: expected at least one sample, found none")
    gradients = _Gradients(network, parameters, inputs, output_fisher, names)
    side = min(gradients.num_parameters, len(inputs) * gradients.num_directions)
    if side > MAX_SIDE:
        raise UsageError(
            f"eigenvalues of the Fisher matrix: expected at most {MAX_SIDE} parameters, or samples times directions of"
            f" the outputs, found {gradients.num_parameters} and {len(inputs)} times {gradients.num_directions}; take"
            f" at most {MAX_SIDE // gradients.num_directions} samples (num_samples)"
        )
    matrix = gradients.primal() if side == gradients.num_parameters else gradients.dual()
    if not torch.isfinite(matrix).all():
        return torch.full((side,), torch.nan, dtype=torch.float64, device=inputs.device)
    return (torch.linalg.eigvalsh(matrix) / len(inputs)).clamp(min=0.0).flip(0)


class _Gradients:
    """The matrix A, computed block by block when it is needed."""

    def __init__(
        self,
        network: Differentiable,
        parameters: Mapping[str, torch.Tensor],
        inputs: torch.Tensor,
        output_fisher: OutputFisher,
        names: Collection[str] | None,
    ) -> None:
        self._network, self._parameters, self._inputs, self._output_fisher = network, parameters, inputs, output_fisher
        self._names = tuple(name for name in parameters if names is None or name in names)
        self.num_parameters = sum(parameters[name].numel() for name in self._names)
        with torch.no_grad():
            self.num_directions = output_fisher.num_directions(network.apply(parameters, inputs[:1]).numel())

    def primal(self) -> torch.Tensor:
        """Returns AᵀA."""
        shape = (self.num_parameters, self.num_parameters)
        total = torch.zeros(shape, dtype=torch.float64, device=self._inputs.device)
        for chunk in self._chunks():
            rows = self._rows(chunk)
            total += rows.T @ rows
        return total

    def dual(self) -> torch.Tensor:
        """Returns AAᵀ; with more than one chunk of samples, rows are computed again for each pair of chunks."""
        side = len(self._inputs) * self.num_directions
        product = torch.zeros(side, side, dtype=torch.float64, device=self._inputs.device)
        chunks = self._chunks()
        for number, chunk in enumerate(chunks):
            rows = self._rows(chunk)
            for other in chunks[number:]:
                part = rows @ (rows if other is chunk else self._rows(other)).T
                product[self._span(chunk), self._span(other)] = part
                product[self._span(other), self._span(chunk)] = part.T
        return product

    def _chunks(self) -> list[range]:
        num_samples = max(1, BLOCK_NUMBERS // (self.num_parameters * self.num_directions))
        everything = range(len(self._inputs))
        return [everything[start : start + num_samples] for start in everything[::num_samples]]

    def _span(self, chunk: range) -> slice:
        return slice(chunk.start * self.num_directions, chunk.stop * self.num_directions)

    def _rows(self, chunk: range) -> torch.Tensor:
        blocks = collect_sample_gradients(
            self._network, self._parameters, self._names, self._inputs, self._output_fisher, samples=chunk
        )
        return torch.cat(
            [
                torch.cat([block[name].to(torch.float64).flatten(start_dim=1) for name in self._names], dim=1)
                for block in blocks
            ]
        )
