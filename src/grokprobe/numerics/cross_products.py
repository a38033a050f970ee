"""Centred products of two sets of features, gathered batch by batch."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossProducts:
    """Σ_i (x^i − x̄)(y^i − ȳ)ᵀ over samples i, with the means it was centred by; everything float64.

    No sample is kept, so the memory is that of one (left, right) matrix however many samples there are. With y = x it
    is the Gram matrix of the features: n times their covariance.
    """

    #: Number n of samples.
    num_samples: int
    #: x̄, shape (num_left,).
    left_means: torch.Tensor
    #: ȳ, shape (num_right,).
    right_means: torch.Tensor
    #: Shape (num_left, num_right).
    products: torch.Tensor

    def merged(self, other: "CrossProducts") -> "CrossProducts":
        """Returns the products of the samples of both.

        With δ the difference of two means, Σ(x − x̄)(y − ȳ)ᵀ is the sum of both plus δ_x δ_yᵀ n_a n_b / (n_a + n_b).

        Args:
            other: the same features on other samples.

        Reference: Chan, Golub and LeVeque, The American Statistician 37 (1983) 242.
        """
        num_samples = self.num_samples + other.num_samples
        share = other.num_samples / num_samples
        left, right = other.left_means - self.left_means, other.right_means - self.right_means
        return CrossProducts(
            num_samples=num_samples,
            left_means=self.left_means + share * left,
            right_means=self.right_means + share * right,
            products=self.products + other.products + self.num_samples * share * torch.outer(left, right),
        )

    @property
    def scale(self) -> float:
        """√Σ_i ‖x^i‖² of the features before centring, for products of features with themselves."""
        raw = self.products.trace() + self.num_samples * self.left_means.square().sum()
        return raw.sqrt().item()


def compute_cross_products(left: torch.Tensor, right: torch.Tensor) -> CrossProducts:
    """Returns the centred products of one batch; exactly zero for features that do not vary.

    Args:
        left: x, shape (num_samples, num_left), at least one sample.
        right: y, shape (num_samples, num_right); the same tensor for the Gram matrix.

    Example:
        >>> x = torch.tensor([[1.0], [3.0]])
        >>> assert compute_cross_products(x, x).products.item() == 2
    """
    left_means, left_deviations = _centred(left)
    right_means, right_deviations = (left_means, left_deviations) if right is left else _centred(right)
    return CrossProducts(
        num_samples=len(left),
        left_means=left_means,
        right_means=right_means,
        products=left_deviations.T @ right_deviations,
    )


def _centred(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns means and deviations; the first sample is taken off first, so that equal values deviate by exactly 0."""
    origin = values[0].detach().to(torch.float64)
    shifted = values.detach().to(torch.float64) - origin
    shift = shifted.mean(dim=0)
    return origin + shift, shifted - shift
