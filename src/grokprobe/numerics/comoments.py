"""Means, spreads and products of units and features, gathered batch by batch."""

from dataclasses import dataclass
from typing import Final

import torch

#: Numbers of one block of units that are held in float64 at a time.
BLOCK_NUMBERS: Final = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Comoments:
    """Second moments of units z_k and features f_j about their means, over samples i; everything float64.

    Enough for every correlation and partial correlation, and small: no sample is kept.
    """

    #: Number n of samples.
    num_samples: int
    #: z̄_k, shape (num_units,).
    unit_means: torch.Tensor
    #: Σ_i (z_k^i − z̄_k)², shape (num_units,).
    unit_squares: torch.Tensor
    #: Σ_i |z_k^i|, shape (num_units,).
    unit_magnitudes: torch.Tensor
    #: max_i |z_k^i|, shape (num_units,).
    unit_peaks: torch.Tensor
    #: f̄_j, shape (num_features,).
    feature_means: torch.Tensor
    #: max_i |f_j^i|, shape (num_features,).
    feature_peaks: torch.Tensor
    #: Σ_i (f_j^i − f̄_j)(f_l^i − f̄_l), shape (num_features, num_features).
    feature_products: torch.Tensor
    #: Σ_i (z_k^i − z̄_k)(f_j^i − f̄_j), shape (num_units, num_features).
    products: torch.Tensor

    def merged(self, other: "Comoments") -> "Comoments":
        """Returns the comoments of the samples of both.

        With δ the difference of two means, Σ(x − x̄)(y − ȳ) is the sum of the parts plus δ_x δ_y n_a n_b / (n_a + n_b).

        Args:
            other: the same units and features on other samples.

        Reference: Chan, Golub and LeVeque, The American Statistician 37 (1983) 242.
        """
        num_samples = self.num_samples + other.num_samples
        share = other.num_samples / num_samples
        weight = self.num_samples * share
        units = other.unit_means - self.unit_means
        features = other.feature_means - self.feature_means
        return Comoments(
            num_samples=num_samples,
            unit_means=self.unit_means + share * units,
            unit_squares=self.unit_squares + other.unit_squares + weight * units.square(),
            unit_magnitudes=self.unit_magnitudes + other.unit_magnitudes,
            unit_peaks=torch.maximum(self.unit_peaks, other.unit_peaks),
            feature_means=self.feature_means + share * features,
            feature_peaks=torch.maximum(self.feature_peaks, other.feature_peaks),
            feature_products=self.feature_products + other.feature_products + weight * torch.outer(features, features),
            products=self.products + other.products + weight * torch.outer(units, features),
        )

    def find_constant_units(self, tolerance: float) -> torch.Tensor:
        """Returns which units do not vary: standard deviation (over n) at most ``tolerance`` · max_i |z_k^i|.

        A unit that is not finite is not constant.

        Args:
            tolerance: at least 0; a few times the rounding of the numbers that the units were computed in.

        Returns:
            Booleans, shape (num_units,).
        """
        deviations = (self.unit_squares / self.num_samples).sqrt()
        return deviations <= tolerance * self.unit_peaks


def compute_comoments(units: torch.Tensor, features: torch.Tensor) -> Comoments:
    """Returns the comoments of one batch.

    A unit with equal values has squares and products of exactly zero. Memory beyond the arguments is bounded: units
    are taken in blocks of :data:`BLOCK_NUMBERS` float64 numbers.

    Args:
        units: real, shape (num_samples, num_units), at least one sample and one unit. Deviations below 1e-160 have
            squares of zero, and those above 1e150 infinite ones.
        features: real, shape (num_samples, num_features), at least one feature.

    Example:
        >>> z, f = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [4.0]])
        >>> assert compute_comoments(z, f).products.item() == 4
    """
    features = features.to(torch.float64)
    feature_means, deviations = _centred(features)
    means, squares, magnitudes, peaks, products = [], [], [], [], []
    for block in units.split(max(1, BLOCK_NUMBERS // len(units)), dim=1):
        values = block.to(torch.float64)
        block_means, centred = _centred(values)
        means.append(block_means)
        squares.append(centred.square().sum(dim=0))
        products.append(centred.T @ deviations)
        magnitudes.append(values.abs().sum(dim=0))
        peaks.append(values.abs().amax(dim=0))
    return Comoments(
        num_samples=len(units),
        unit_means=torch.cat(means),
        unit_squares=torch.cat(squares),
        unit_magnitudes=torch.cat(magnitudes),
        unit_peaks=torch.cat(peaks),
        feature_means=feature_means,
        feature_peaks=features.abs().amax(dim=0),
        feature_products=deviations.T @ deviations,
        products=torch.cat(products),
    )


def _centred(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns means and deviations; the first sample is taken off first, so that equal values deviate by exactly 0."""
    origin = values[0]
    shifted = values - origin
    shift = shifted.mean(dim=0)
    return origin + shift, shifted - shift
