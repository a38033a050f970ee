"""Similarities and ranks of representations from whole data: kernels of samples, rotations, singular values."""

import numpy as np
import scipy.linalg


def centred(features):
    """Features with their means taken off."""
    return features - features.mean(axis=0)


def hsic(one, other):
    """Biased estimate of HSIC, tr(K H L H) / (n − 1)², with kernels of samples (n, n)."""
    num_samples = len(one)
    centring = np.eye(num_samples) - 1 / num_samples
    return np.trace(one @ centring @ other @ centring) / (num_samples - 1) ** 2


def cka(x, y):
    """HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)) with the linear kernels K = XXᵀ and L = YYᵀ."""
    kernels = x @ x.T, y @ y.T
    return hsic(*kernels) / np.sqrt(hsic(kernels[0], kernels[0]) * hsic(kernels[1], kernels[1]))


def procrustes(x, y):
    """1 − d²/2 with d the smallest distance of X from a rotated Y, both centred, of norm 1 and padded with zeros."""
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(features, ((0, 0), (0, width - features.shape[1]))) for features in (x, y))
    x, y = (centred(features) / np.linalg.norm(centred(features)) for features in (x, y))
    rotation, _ = scipy.linalg.orthogonal_procrustes(y, x)
    return 1 - np.linalg.norm(x - y @ rotation) ** 2 / 2


def effective_ranks(features):
    """Participation ratio and entropy rank from the singular values of the centred data."""
    values = np.linalg.svd(centred(features), compute_uv=False)
    variances = values**2
    shares = values[values > 0] / values.sum()
    return variances.sum() ** 2 / (variances**2).sum(), np.exp(-(shares * np.log(shares)).sum())
