"""Inner products of tangent vectors in a Fisher metric, without a matrix."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from grokprobe.errors import UsageError
from grokprobe.numerics.attention import differentiable_attention
from grokprobe.numerics.layer_trace import Differentiable
from grokprobe.numerics.output_fisher import OutputFisher

#: Samples per Jacobian-vector product. It bounds the memory, and changes only the last digits.
GRAM_BATCH: Final = 512

#: Of the two results of a Jacobian-vector product only the second differs between tangents.
OUTPUTS_AND_CHANGES: Final[Any] = (None, 0)

#: A vector of changes of the parameters, by name.
Tangent = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedBatch:
    """What tangents do to the outputs of one batch of samples."""

    #: The samples.
    rows: slice
    #: f, shape (num_samples, num_outputs).
    outputs: torch.Tensor
    #: J s, shape (num_tangents, num_samples, num_outputs).
    changes: torch.Tensor


def compute_fisher_gram(
    network: Differentiable,
    parameters: Mapping[str, torch.Tensor],
    tangents: Sequence[Tangent],
    inputs: torch.Tensor,
    output_fisher: OutputFisher,
) -> torch.Tensor:
    """Computes ⟨s, s'⟩ = E_x[(J s)ᵀ G (J s')], the mean over all inputs, with one Jacobian-vector product a tangent.

    It is the inner product of the full Fisher matrix. For a short step s, ½⟨s, s⟩ is the mean Kullback-Leibler
    divergence between the predictions before and after it, so its root is how far the step moves the function that the
    network computes. It is invariant under every change of coordinates that the tangents are mapped along.

    Args:
        network: treats every sample by itself.
        parameters: where; not modified.
        tangents: changes of some of the parameters; one that lacks a name leaves that parameter as it is.
        inputs: shape (num_samples, …), at least one sample.
        output_fisher: which Fisher information.

    Returns:
        Symmetric, positive semi-definite, float64, shape (num_tangents, num_tangents).

    Raises:
        UsageError: no sample.

    Reference:
        arXiv 2502.01739, Eq. 8, 9 and 14.

    Example:
        >>> from grokprobe.numerics.layer_trace import PlainFunction
        >>> from grokprobe.numerics.output_fisher import exact_fisher
        >>> plane = PlainFunction(apply=lambda own, x: x @ own["w"])
        >>> x, w = torch.tensor([[1.0, 1.0]]), {"w": torch.zeros(2, 1)}
        >>> east, west = {"w": torch.tensor([[1.0], [0.0]])}, {"w": torch.tensor([[-1.0], [0.0]])}
        >>> gram = compute_fisher_gram(plane, w, [east, west], x, exact_fisher("gaussian"))
        >>> assert gram.tolist() == [[1, -1], [-1, 1]]
    """
    gram = torch.zeros(len(tangents), len(tangents), dtype=torch.float64, device=inputs.device)
    for batch in push_tangents(network, parameters, tangents, inputs):
        white = output_fisher.whiten(batch.outputs, batch.rows, batch.changes).flatten(start_dim=1)
        gram += white @ white.T
    return gram / len(inputs)


def push_tangents(
    network: Differentiable,
    parameters: Mapping[str, torch.Tensor],
    tangents: Sequence[Tangent],
    inputs: torch.Tensor,
) -> Iterator[PushedBatch]:
    """Yields J s for every tangent s, a batch of samples at a time; nothing if no parameter changes.

    Args:
        network: treats every sample by itself.
        parameters: where; not modified.
        tangents: changes of some of the parameters.
        inputs: shape (num_samples, …), at least one sample.

    Raises:
        UsageError: no sample.
    """
    if len(inputs) == 0:
        raise UsageError("Fisher information: expected at least one sample, found none")
    names = [name for name in parameters if any(name in tangent for tangent in tangents)]
    if not names:
        return
    with torch.no_grad():
        network.apply(parameters, inputs[:1])  # what is built at the first evaluation is not built inside a transform
    origin = {name: parameters[name].detach() for name in names}
    stacked = {name: torch.stack([_part(tangent, name, at) for tangent in tangents]) for name, at in origin.items()}
    for start in range(0, len(inputs), GRAM_BATCH):
        rows = slice(start, start + GRAM_BATCH)

        def outputs_of(own: dict[str, torch.Tensor], rows: slice = rows) -> torch.Tensor:
            with differentiable_attention():
                return network.apply({**parameters, **own}, inputs[rows]).flatten(start_dim=1)

        def push(tangent: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.func.jvp(outputs_of, (origin,), (tangent,))[:2]

        with torch.no_grad(), warnings.catch_warnings():
            # The first use of forward mode compiles with what torch 2.13 itself calls deprecated.
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
            outputs, changes = torch.func.vmap(push, out_dims=OUTPUTS_AND_CHANGES)(stacked)
        yield PushedBatch(rows=rows, outputs=outputs, changes=changes)


def compute_diagonal_gram(diagonal: Mapping[str, torch.Tensor], tangents: Sequence[Tangent]) -> torch.Tensor:
    """Computes ⟨s, s'⟩ = Σ_i g_i s_i s'_i over the parameters that ``diagonal`` names.

    Args:
        diagonal: the entries g_i by name, non-negative.
        tangents: changes of some of the parameters; one that lacks a name leaves that parameter as it is.

    Returns:
        Symmetric, positive semi-definite, float64, shape (num_tangents, num_tangents).

    Example:
        >>> step = {"w": torch.tensor([1.0, 2.0])}
        >>> assert compute_diagonal_gram({"w": torch.tensor([3.0, 1.0])}, [step]).item() == 3 * 1 + 1 * 4
    """
    grams = [_weighted_gram(weights, tangents, name) for name, weights in diagonal.items()]
    return torch.stack(grams).sum(dim=0) if grams else torch.zeros(len(tangents), len(tangents), dtype=torch.float64)


def _weighted_gram(weights: torch.Tensor, tangents: Sequence[Tangent], name: str) -> torch.Tensor:
    parts = [_part(tangent, name, weights).to(torch.float64).flatten() for tangent in tangents]
    if not parts:
        return torch.zeros(0, 0, dtype=torch.float64, device=weights.device)
    matrix = torch.stack(parts) * weights.to(torch.float64).sqrt().flatten()
    return matrix @ matrix.T


def _part(tangent: Tangent, name: str, like: torch.Tensor) -> torch.Tensor:
    """Returns a tangent's change of one parameter, in the type of ``like``."""
    return tangent[name].detach().to(like) if name in tangent else torch.zeros_like(like)
