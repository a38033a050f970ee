"""The Fisher information of a network's outputs, from which that of its parameters follows.

With outputs f(x) and a likelihood p(y | f), G(x) = E_{y~p}[(∂ ln p/∂f)(∂ ln p/∂f)ᵀ] is a small matrix a sample, and the
Fisher information of the parameters is E_x[Jᵀ G J] with J = ∂f/∂θ. The variants of the field differ in G alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import torch

from grokprobe.errors import UsageError

#: What the outputs parametrise: logits of a categorical distribution, or the mean of a Gaussian with unit variance.
LikelihoodName = Literal["categorical", "gaussian"]

LIKELIHOODS: Final = ("categorical", "gaussian")


class OutputFisher(Protocol):
    """The matrix G(x) of each sample; positive semi-definite.

    Outputs have the shape (num_samples, num_outputs). ``rows`` says which samples of the whole data they belong to.
    Everything is returned in float64.
    """

    def num_directions(self, num_outputs: int) -> int:
        """Returns how many vectors :meth:`directions` yields."""
        ...

    def directions(self, outputs: torch.Tensor, rows: slice) -> Iterator[torch.Tensor]:
        """Yields vectors u_d, each of the outputs' shape, with Σ_d u_d u_dᵀ = G."""
        ...

    def whiten(self, outputs: torch.Tensor, rows: slice, vectors: torch.Tensor) -> torch.Tensor:
        """Returns w(v), shape (…, num_samples, any), with w(v) · w(v') = vᵀ G v' for vectors (…, *outputs.shape)."""
        ...

    def diagonal(self, outputs: torch.Tensor, rows: slice) -> torch.Tensor:
        """Returns the diagonal of G, of the outputs' shape."""
        ...

    def spread(self, outputs: torch.Tensor, rows: slice, matrix: torch.Tensor) -> torch.Tensor:
        """Returns the diagonal of VᵀGV, shape (num_samples, num_columns), for V of shape (num_outputs, num_columns)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalFisher:
    """G = diag p − p pᵀ with p = softmax f: the exact expectation over the labels.

    Nothing here subtracts numbers close to 1, so the information of a sample that is classified with certainty keeps
    its relative precision however small it is.
    """

    def num_directions(self, num_outputs: int) -> int:
        """Returns K − 1: all labels being more likely changes nothing."""
        return num_outputs - 1

    def directions(self, outputs: torch.Tensor, rows: slice) -> Iterator[torch.Tensor]:  # noqa: ARG002 - needs no labels
        """Yields the K − 1 columns of the Cholesky factor.

        Column j is √(p_j r_{j+1} / r_j) (e_j − p_{>j} / r_{j+1}), with r_j = Σ_{l≥j} p_l: class j against the
        distribution of the classes after it.

        Reference:
            K. Tanabe, M. Sagae, An exact Cholesky decomposition and the generalized inverse of the variance-covariance
            matrix of the multinomial distribution, J. R. Stat. Soc. B 54 (1992) 211.
        """
        probabilities = _probabilities(outputs)
        tails = probabilities.flip(-1).cumsum(-1).flip(-1)
        for label in range(outputs.shape[-1] - 1):
            rest = tails[:, label + 1 :][:, :1]
            size = (_ratio(probabilities[:, label : label + 1], tails[:, label : label + 1]) * rest).sqrt()
            column = torch.zeros_like(probabilities)
            column[:, label : label + 1] = size
            column[:, label + 1 :] = -size * _ratio(probabilities[:, label + 1 :], rest)
            yield column

    def whiten(self, outputs: torch.Tensor, rows: slice, vectors: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Returns √p_c (v_c − Σ_k p_k v_k)."""
        probabilities = _probabilities(outputs)
        vectors = vectors.to(torch.float64)
        top = probabilities.argmax(dim=-1, keepdim=True).expand(*vectors.shape[:-1], 1)
        shifted = vectors - vectors.gather(-1, top)  # the mean of these is of the order of 1 − p_top
        return probabilities.sqrt() * (shifted - (probabilities * shifted).sum(dim=-1, keepdim=True))

    def diagonal(self, outputs: torch.Tensor, rows: slice) -> torch.Tensor:  # noqa: ARG002 - needs no labels
        """Returns p_c (1 − p_c)."""
        probabilities = _probabilities(outputs)
        return probabilities * _complements(probabilities)

    def spread(self, outputs: torch.Tensor, rows: slice, matrix: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Returns the variance of V_cj over c ~ p for each column j, about the likeliest class t and not about 0.

        With S_m = Σ_{c≠t} p_c V_cj^m it is S_2 − 2 V_tj S_1 + V_tj² S_0 − (S_1 − V_tj S_0)².
        """
        probabilities = _probabilities(outputs)
        matrix = matrix.to(torch.float64)
        top = probabilities.argmax(dim=-1, keepdim=True)
        others = probabilities.scatter(-1, top, 0.0)
        centre = matrix[top.squeeze(-1)]
        first = others @ matrix
        mean = torch.addcmul(first, centre, others.sum(dim=-1, keepdim=True), value=-1)
        variance = (others @ matrix.square()).addcmul_(centre, first.add_(mean), value=-1)
        return variance.addcmul_(mean, mean, value=-1).clamp_(min=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFisher:
    """G = 1: of a Gaussian with unit variance, and the authors' "regression" variant for outputs of any kind."""

    def num_directions(self, num_outputs: int) -> int:
        """Returns the number of outputs."""
        return num_outputs

    def directions(self, outputs: torch.Tensor, rows: slice) -> Iterator[torch.Tensor]:  # noqa: ARG002 - always the same
        """Yields the unit vectors."""
        for unit in torch.eye(outputs.shape[-1], dtype=torch.float64, device=outputs.device):
            yield unit.expand(outputs.shape)

    def whiten(self, outputs: torch.Tensor, rows: slice, vectors: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Returns the vectors."""
        return vectors.to(torch.float64)

    def diagonal(self, outputs: torch.Tensor, rows: slice) -> torch.Tensor:  # noqa: ARG002 - always the same
        """Returns ones."""
        return torch.ones_like(outputs, dtype=torch.float64)

    def spread(self, outputs: torch.Tensor, rows: slice, matrix: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Returns the squared norm of each column."""
        return matrix.to(torch.float64).square().sum(dim=0).expand(len(outputs), -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFisher:
    """G = u uᵀ with one vector u a sample: the score ∂ ln p(y | f)/∂f of one label y."""

    #: Outputs and rows → u, float64, of the outputs' shape.
    score: Callable[[torch.Tensor, slice], torch.Tensor]

    def num_directions(self, num_outputs: int) -> int:
        """Returns 1."""
        del num_outputs
        return 1

    def directions(self, outputs: torch.Tensor, rows: slice) -> Iterator[torch.Tensor]:
        """Yields the score."""
        yield self.score(outputs, rows)

    def whiten(self, outputs: torch.Tensor, rows: slice, vectors: torch.Tensor) -> torch.Tensor:
        """Returns u · v, with a last axis of length 1."""
        return (vectors.to(torch.float64) * self.score(outputs, rows)).sum(dim=-1, keepdim=True)

    def diagonal(self, outputs: torch.Tensor, rows: slice) -> torch.Tensor:
        """Returns u²."""
        return self.score(outputs, rows).square()

    def spread(self, outputs: torch.Tensor, rows: slice, matrix: torch.Tensor) -> torch.Tensor:
        """Returns (uᵀV)²."""
        return (self.score(outputs, rows) @ matrix.to(torch.float64)).square()


def exact_fisher(likelihood: LikelihoodName) -> OutputFisher:
    """Returns the exact expectation over labels, y ~ p(y | x, θ).

    Raises:
        UsageError: an unknown likelihood.

    Reference:
        arXiv 2502.01739, Eq. 14.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0]])
        >>> assert exact_fisher("categorical").diagonal(logits, slice(0, 1)).tolist() == [[0.25, 0.25]]
    """
    return CategoricalFisher() if _known(likelihood) == "categorical" else IdentityFisher()


def empirical_fisher(likelihood: LikelihoodName, targets: torch.Tensor) -> OutputFisher:
    """Returns that of the observed labels, which is no expectation over the model's own.

    Args:
        likelihood: of the outputs.
        targets: of all samples: classes (num_samples,) for a categorical likelihood, values (num_samples, …) of the
            outputs' number for a Gaussian one.

    Raises:
        UsageError: an unknown likelihood.

    Reference:
        F. Kunstner, L. Balles, P. Hennig, Limitations of the empirical Fisher approximation, NeurIPS 2019.
    """
    if _known(likelihood) == "categorical":
        return ScoreFisher(score=lambda outputs, rows: _label_score(outputs, targets[rows]))
    return ScoreFisher(score=lambda outputs, rows: targets[rows].flatten(start_dim=1).to(torch.float64) - outputs)


def sampled_fisher(likelihood: LikelihoodName, noise: torch.Tensor) -> OutputFisher:
    """Returns that of one drawn label a sample, y ~ p(y | x, θ): an unbiased estimate of the exact one.

    Args:
        likelihood: of the outputs.
        noise: of all samples, so that a draw does not depend on the batches: uniform numbers in [0, 1), shape
            (num_samples,), for a categorical likelihood, which pick the label at that quantile; standard normal ones,
            shape (num_samples, num_outputs), for a Gaussian one.

    Raises:
        UsageError: an unknown likelihood.
    """
    if _known(likelihood) == "categorical":
        return ScoreFisher(score=lambda outputs, rows: _label_score(outputs, _quantile(outputs, noise[rows])))
    return ScoreFisher(score=lambda outputs, rows: noise[rows].to(torch.float64))  # noqa: ARG005 - y − f is the noise


def _known(likelihood: str) -> str:
    if likelihood not in LIKELIHOODS:
        raise UsageError(
            f"Fisher information: expected a likelihood among {', '.join(LIKELIHOODS)}, found {likelihood!r}"
        )
    return likelihood


def _probabilities(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.to(torch.float64).softmax(dim=-1)


def _complements(probabilities: torch.Tensor) -> torch.Tensor:
    """Returns 1 − p_c; of the likeliest class as the sum of the others, which keeps its relative precision."""
    top = probabilities.argmax(dim=-1, keepdim=True)
    return (1 - probabilities).scatter(-1, top, probabilities.scatter(-1, top, 0.0).sum(dim=-1, keepdim=True))


def _label_score(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Returns e_y − p."""
    probabilities = _probabilities(outputs)
    chosen = labels.unsqueeze(-1)
    return (-probabilities).scatter(-1, chosen, _complements(probabilities).gather(-1, chosen))


def _quantile(outputs: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Returns the labels at ``levels`` in [0, 1) of the cumulative distribution."""
    cumulative = _probabilities(outputs).cumsum(dim=-1)
    labels = torch.searchsorted(cumulative, levels.unsqueeze(-1) * cumulative[:, -1:], right=True).squeeze(-1)
    return labels.clamp(max=outputs.shape[-1] - 1)


def _ratio(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Returns part / whole, 0 where both have underflowed to 0; NaN stays."""
    return (part / whole).where(whole != 0, 0.0)
