"""Lengths, cosines and turning points of a path by loops over the definitions."""

import itertools
import math
import statistics


def product(left, matrix, right):
    """vᵀ A w."""
    return sum(a * matrix[i][j] * b for i, a in enumerate(left) for j, b in enumerate(right))


def norm(vector, matrix):
    return math.sqrt(product(vector, matrix, vector))


def cosine(left, right, matrix):
    return product(left, matrix, right) / norm(left, matrix) / norm(right, matrix)


def difference(later, earlier):
    return [a - b for a, b in zip(later, earlier, strict=True)]


def chord(first, last, num_points, metric_at):
    """The straight segment in equal pieces, each in the metric at its start."""
    whole, total = difference(last, first), 0.0
    for number in range(num_points):
        start = [a + number / num_points * d for a, d in zip(first, whole, strict=True)]
        total += norm([d / num_points for d in whole], metric_at(start))
    return total


def longest_rise(places, speeds):
    """Start, end, ratio and number of crossings, of evenly spaced values that have one extremum at a time."""
    smooth = {i: statistics.median(speeds[i - 2 : i + 3]) for i in range(2, len(speeds) - 2)}
    slope = {i: smooth[i + 1] - smooth[i - 1] for i in range(3, len(speeds) - 3)}
    known = [i for i in sorted(slope) if slope[i] != 0]
    crossings = []
    for i, j in itertools.pairwise(known):
        if slope[i] * slope[j] < 0:
            share = abs(slope[i]) / (abs(slope[i]) + abs(slope[j]))
            crossings.append((places[i] + share * (places[j] - places[i]), slope[j] > 0, i, j))
    best, longest = (math.nan, math.nan, math.nan), 0
    for (start, is_upward, i, _), (stop, _, _, j) in itertools.pairwise(crossings):
        inside = [smooth[k] for k in range(i, j + 1)]
        if is_upward and len(inside) > longest:
            best, longest = (start, stop, max(inside) / min(inside)), len(inside)
    return (*best, len(crossings))
