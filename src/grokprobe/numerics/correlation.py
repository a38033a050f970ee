"""Correlation of units with features."""

from typing import Final

import torch

from grokprobe.numerics.comoments import Comoments

#: A feature is constant if its standard deviation is at most this times its largest magnitude: 4 roundings of float64.
FEATURE_TOLERANCE: Final = 4 * torch.finfo(torch.float64).eps
#: A feature is a linear combination of others if they leave at most this share of its variance.
COLLINEAR_SHARE: Final = 1e-10
#: A unit is a linear combination of features if they leave at most this share of its variance.
EXPLAINED_SHARE: Final = 1e-12
#: Magnitudes of correlations that differ by at most this are equal.
EQUAL_CORRELATIONS: Final = 1e-12


def compute_correlation(comoments: Comoments, tolerance: float) -> torch.Tensor:
    """Pearson's r of every unit with every feature.

    r_kj = Σ_i (z_k^i − z̄_k)(f_j^i − f̄_j) / √(Σ_i (z_k^i − z̄_k)² Σ_i (f_j^i − f̄_j)²)

    Says how far a unit is a linear function of a feature.

    Properties: in [−1, 1] up to rounding below 1e-12; invariant to a positive scale and to a shift of unit or feature;
    changes sign with either; invariant to the order of samples.

    Args:
        comoments: of units and features.
        tolerance: a unit is constant as in :meth:`Comoments.find_constant_units`.

    Returns:
        Shape (num_units, num_features), float64; NaN for a unit or feature that is constant or not finite.

    Reference:
        K. Pearson, Proc. R. Soc. London 58 (1895) 240.
    """
    unit_scales = comoments.unit_squares.sqrt()
    feature_scales = comoments.feature_products.diagonal().sqrt()
    correlation = comoments.products / unit_scales.unsqueeze(1) / feature_scales
    has_unit = unit_scales.isfinite() & ~comoments.find_constant_units(tolerance)
    defined = has_unit.unsqueeze(1) & _find_defined_features(comoments)
    return correlation.where(defined, torch.nan)


def compute_partial_correlation(comoments: Comoments, tolerance: float) -> torch.Tensor:
    """Partial correlation of every unit with every feature, given all the other features.

    It is Pearson's r of what linear regression on the other features (with an intercept) leaves of the unit and of
    the feature. It tells a feature that a unit computes from one that merely goes along with it.

    With g the component of the normalised unit along the residual of the feature, and R² the share of the unit's
    variance that all features together explain, it is g / √(g² + 1 − R²), which cannot leave [−1, 1].

    Properties: those of r; equal to r where there is one feature; ±1 for a unit that is a linear function of all
    features.

    Args:
        comoments: of units and features.
        tolerance: as in :func:`compute_correlation`, of the unit and of what is left of it.

    Returns:
        Shape (num_units, num_features), float64. NaN where r is; for a feature that the others determine (they leave
        at most :data:`COLLINEAR_SHARE` of its variance); for a unit that the others determine (they leave at most
        :data:`EXPLAINED_SHARE` of its variance, or a standard deviation at most ``tolerance`` times its largest
        magnitude). A feature that is constant or not finite is not controlled for.

    Reference:
        R. A. Fisher, Metron 3 (1924) 329.
    """
    correlation = compute_correlation(comoments, tolerance)
    scales = comoments.feature_products.diagonal().sqrt()
    among = comoments.feature_products / torch.outer(scales, scales)
    joint = torch.cat([among, correlation.T], dim=1)
    partial = torch.full_like(correlation, torch.nan)
    defined = _find_defined_features(comoments).nonzero().flatten().tolist()
    residual_floor = comoments.num_samples * (tolerance * comoments.unit_peaks).square() / comoments.unit_squares
    for feature in defined:
        others = [other for other in defined if other != feature]
        values, left = _correlate_residuals(joint, feature, others)
        partial[:, feature] = values.where((left > EXPLAINED_SHARE) & (left > residual_floor), torch.nan)
    return partial


def compute_weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean Σ_k w_k v_kj / Σ_k w_k over the units k whose value is defined.

    Properties: between the least and the largest value; invariant to the scale of the weights.

    Args:
        values: shape (num_units, num_features); NaN is undefined.
        weights: non-negative, shape (num_units,).

    Returns:
        Shape (num_features,); NaN where no unit with a positive weight has a value.

    Example:
        >>> values = torch.tensor([[1.0], [3.0], [torch.nan]])
        >>> assert compute_weighted_mean(values, torch.tensor([3.0, 1.0, 9.0])) == 1.5
    """
    defined = ~values.isnan()
    counted = weights.unsqueeze(1).where(defined, 0)
    return (counted * values.where(defined, 0)).sum(dim=0) / counted.sum(dim=0)


def find_best_feature(correlation: torch.Tensor) -> torch.Tensor:
    """Returns the index of the feature with the largest |r| of each unit, the first of equal ones.

    Two that differ by at most :data:`EQUAL_CORRELATIONS` are equal: features that are one up to scale would otherwise
    be told apart by rounding.

    Args:
        correlation: shape (num_units, num_features); NaN is undefined and never the largest.

    Returns:
        int64, shape (num_units,); −1 for a unit without any defined r.

    Example:
        >>> assert find_best_feature(torch.tensor([[0.1, -0.9], [torch.nan, torch.nan]])).tolist() == [1, -1]
    """
    magnitudes = correlation.abs().nan_to_num(nan=-1.0)
    largest = magnitudes.amax(dim=1, keepdim=True)
    first = (magnitudes >= largest - EQUAL_CORRELATIONS).to(torch.int64).argmax(dim=1)
    return first.where(largest.squeeze(1) >= 0, -1)


def _find_defined_features(comoments: Comoments) -> torch.Tensor:
    squares = comoments.feature_products.diagonal()
    deviations = (squares / comoments.num_samples).sqrt()
    return squares.isfinite() & (deviations > FEATURE_TOLERANCE * comoments.feature_peaks)


def _correlate_residuals(joint: torch.Tensor, feature: int, others: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the partial correlations with ``feature`` and the share of each unit's variance that ``others`` leave.

    Eliminates the others one after the other (Cholesky) from ``joint``, the correlations (num_features,
    num_features + num_units) of features with features and units. One that those before it determine adds nothing.
    """
    num_features = len(joint)
    explained = torch.zeros_like(joint[0, num_features:])
    for other in others:
        if joint[other, other] > COLLINEAR_SHARE:
            row = joint[other] / joint[other, other].sqrt()
            explained = explained + row[num_features:].square()
            joint = joint - torch.outer(row[:num_features], row)
    if not joint[feature, feature] > COLLINEAR_SHARE:
        undefined = torch.full_like(explained, torch.nan)
        return undefined, undefined
    slopes = joint[feature, num_features:] / joint[feature, feature].sqrt()
    left = slopes.square() + (1 - explained - slopes.square()).clamp(min=0)
    return slopes / left.sqrt(), left
