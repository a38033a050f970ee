"""Pruning, quantization, truncation and the numbers of a curve, by loops over the definitions."""

import math

import numpy as np


def round_half_even(number):
    """The nearest whole number, of two the even one."""
    below = math.floor(number)
    if number - below == 0.5:
        return below if below % 2 == 0 else below + 1
    return below if number - below < 0.5 else below + 1


def prune(weights, scores, amount):
    """The list of weights with the smallest scores set to zero, one at a time; the first of equal ones first."""
    weights, left = list(weights), list(range(len(weights)))
    for _ in range(round_half_even(amount * len(weights))):
        smallest = min(left, key=lambda index: (scores[index], index))
        weights[smallest] = 0.0
        left.remove(smallest)
    return weights


def quantize(weights, bits):
    """Each weight replaced by the nearest of the listed levels; of two the one with the even number."""
    if bits <= 1:
        return [0.0] * len(weights)
    largest, num_positive = max(map(abs, weights)), 2 ** (bits - 1) - 1
    levels = [(number, number * largest / num_positive) for number in range(-num_positive, num_positive + 1)]
    return [min(levels, key=lambda level: (round(abs(level[1] - weight), 12), level[0] % 2))[1] for weight in weights]


def truncate(matrix, rank):
    """The projection of the rows onto the leading eigenvectors of WᵀW."""
    matrix = np.asarray(matrix)
    vectors = np.linalg.eigh(matrix.T @ matrix)[1][:, ::-1][:, :rank]
    return matrix @ vectors @ vectors.T


def area(amounts, accuracies):
    """Trapezoids one by one, over the length of the range."""
    total = 0.0
    for left in range(len(amounts) - 1):
        total += (amounts[left + 1] - amounts[left]) * (accuracies[left] + accuracies[left + 1]) / 2
    return total / (amounts[-1] - amounts[0])


def last_amount(amounts, accuracies, threshold):
    """The last amount before accuracy first falls below the threshold."""
    found = math.nan
    for amount, accuracy in zip(amounts, accuracies, strict=True):
        if accuracy < threshold:
            break
        found = amount
    return found
