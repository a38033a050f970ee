"""The split of the tangent space into stiff and sloppy: along parameters, or along eigenvectors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from grokprobe.numerics.parameter_vector import flatten, unflatten

Tangent = Mapping[str, torch.Tensor]


class StiffSubspaces(Protocol):
    """Stiff subspaces at every threshold; a higher threshold gives a smaller one within."""

    @property
    def stiffness(self) -> torch.Tensor:
        """Stiffness of each direction of a basis, float64, one axis. Directions that are not listed have 0."""
        ...

    def fraction(self, threshold: float) -> float:
        """Returns the dimension of the subspace of stiffness ≥ ``threshold`` over the number of parameters."""
        ...

    def project(self, tangent: Tangent, threshold: float) -> dict[str, torch.Tensor]:
        """Returns the part of ``tangent`` in the subspace of stiffness ≥ ``threshold``; the rest is the sloppy part."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StiffParameters:
    """Subspaces spanned by single parameters: those with a large diagonal entry of a Fisher matrix."""

    #: The diagonal by parameter, at least 0.
    diagonal: Mapping[str, torch.Tensor]

    @property
    def stiffness(self) -> torch.Tensor:
        """The diagonal as one vector."""
        return flatten(self.diagonal)

    def fraction(self, threshold: float) -> float:
        """Returns the share of parameters whose entry is at least ``threshold``."""
        return (self.stiffness >= threshold).double().mean().item()

    def project(self, tangent: Tangent, threshold: float) -> dict[str, torch.Tensor]:
        """Returns the components along stiff parameters; all others, and tensors without an entry, are 0."""
        return {
            name: part.where(self.diagonal[name] >= threshold, 0) if name in self.diagonal else torch.zeros_like(part)
            for name, part in tangent.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StiffDirections:
    """Subspaces spanned by eigenvectors of a Fisher matrix: they do not depend on the coordinates of the network."""

    #: Positive eigenvalues, descending, shape (r,).
    eigenvalues: torch.Tensor
    #: Orthonormal eigenvectors in columns, float64, shape (number of parameters, r).
    vectors: torch.Tensor
    #: Names of the tensors that the rows of the vectors run over, in order.
    names: tuple[str, ...]

    @property
    def stiffness(self) -> torch.Tensor:
        """The positive eigenvalues."""
        return self.eigenvalues

    def fraction(self, threshold: float) -> float:
        """Returns the number of eigenvalues of at least ``threshold`` over that of parameters."""
        return (self.eigenvalues >= threshold).sum().item() / len(self.vectors)

    def project(self, tangent: Tangent, threshold: float) -> dict[str, torch.Tensor]:
        """Returns the orthogonal projection, V Vᵀ t, rounded to the tangent's own type."""
        chosen = {name: tangent[name] for name in self.names}
        basis = self.vectors[:, self.eigenvalues >= threshold]
        stiff = unflatten(basis @ (basis.T @ flatten(chosen)), chosen)
        return {name: stiff[name] if name in stiff else torch.zeros_like(part) for name, part in tangent.items()}


def subtract(tangent: Tangent, other: Tangent) -> dict[str, torch.Tensor]:
    """Returns the difference of two tangents, or the tangent that joins two points."""
    return {name: part - other[name] for name, part in tangent.items()}
