"""Gini coefficient and matrix norms by loops over the definitions."""

import math


def gini(values):
    """Σ_i Σ_j |x_i − x_j| / (2 n² mean)."""
    n = len(values)
    differences = sum(abs(a - b) for a in values for b in values)
    return differences / (2 * n**2 * (sum(values) / n))


def frobenius_norm(matrix):
    """√Σ w²."""
    return math.sqrt(sum(entry**2 for row in matrix for entry in row))


def spectral_norm(matrix, num_iterations=5000):
    """Largest singular value by power iteration with WᵀW."""
    rows, columns = len(matrix), len(matrix[0])
    vector = [1.0 + 0.1 * column for column in range(columns)]
    value = 0.0
    for _ in range(num_iterations):
        image = [sum(matrix[i][j] * vector[j] for j in range(columns)) for i in range(rows)]
        vector = [sum(matrix[i][j] * image[i] for i in range(rows)) for j in range(columns)]
        length = math.sqrt(sum(entry**2 for entry in vector))
        vector = [entry / length for entry in vector]
        value = math.sqrt(length)
    return value


def stable_rank(matrix):
    """‖W‖_F² / σ_max²."""
    return frobenius_norm(matrix) ** 2 / spectral_norm(matrix) ** 2
