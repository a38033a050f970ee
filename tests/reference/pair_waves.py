"""Restricted and excluded logits by dense projections on the products of cos and sin of both summands."""

import numpy as np


def product_waves(period, frequency):
    """cos·cos, cos·sin, sin·cos and sin·sin of 2πka/p and 2πkb/p over all pairs, each (p²,)."""
    angles = 2 * np.pi * frequency * np.arange(period) / period
    factors = np.cos(angles), np.sin(angles)
    return {(i, j): np.outer(factors[i], factors[j]).ravel() for i in (0, 1) for j in (0, 1)}


def directions(period, frequencies, waves):
    """Orthonormal directions of the space of functions of pairs that the frequencies stand for, (p², count)."""
    columns = []
    for frequency in frequencies:
        products = product_waves(period, frequency)
        if waves == "products":
            columns += products.values()
        else:
            columns += [products[0, 0] - products[1, 1], products[1, 0] + products[0, 1]]  # cos and sin of w(a + b)
    matrix = np.stack(columns, axis=1)
    left, values, _ = np.linalg.svd(matrix, full_matrices=False)
    return left[:, values > 1e-9]


def part_at(logits, period, frequencies, waves):
    """The part of logits (p², num_classes) at the frequencies."""
    basis = directions(period, frequencies, waves)
    return basis @ (basis.T @ logits)


def wave_shares(logits, period):
    """Share of each frequency of a + b in the logits centred over classes, without their mean over pairs."""
    centred = logits - logits.mean(axis=1, keepdims=True)
    centred = centred - centred.mean(axis=0)
    parts = [part_at(centred, period, [k], "sum") for k in range(1, period // 2 + 1)]
    return np.array([(part**2).sum() for part in parts]) / (centred**2).sum()


def cross_entropy(logits, targets):
    """Mean −ln of the softmax at the targets."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(targets)), targets]).mean()
