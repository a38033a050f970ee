"""Correlations one unit and one feature at a time: scipy's Pearson r, and residuals of least squares."""

import numpy as np
from scipy import stats


def correlation(units, features):
    """Pearson's r of every column of ``units`` with every column of ``features``."""
    return [[stats.pearsonr(unit, feature).statistic for feature in features.T] for unit in units.T]


def partial_correlation(units, features):
    """Pearson's r of the residuals after regression on the other features and an intercept."""
    rows = []
    for unit in units.T:
        row = []
        for index in range(features.shape[1]):
            others = np.column_stack([np.ones(len(unit)), np.delete(features, index, axis=1)])
            row.append(stats.pearsonr(_residual(unit, others), _residual(features[:, index], others)).statistic)
        rows.append(row)
    return rows


def weighted_mean(values, weights):
    """Σ_k w_k v_k / Σ_k w_k for each column, by a loop."""
    total = sum(weights)
    return [sum(w * v for w, v in zip(weights, column, strict=True)) / total for column in zip(*values, strict=True)]


def _residual(target, others):
    coefficients = np.linalg.lstsq(others, target, rcond=None)[0]
    return target - others @ coefficients
