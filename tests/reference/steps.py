"""Cosines and decile changes by loops over the definitions."""

import math


def cosine(left, right):
    """⟨u, v⟩ / (‖u‖ ‖v‖)."""
    product = sum(a * b for a, b in zip(left, right, strict=True))
    return product / math.sqrt(sum(a * a for a in left) * sum(b * b for b in right))


def decile_changes(weights, previous, relative):
    """Relative change per decile of |w|: pairs sorted one by one, deciles cut one by one."""
    pairs = sorted(zip(weights, previous, strict=True), key=lambda pair: abs(pair[0]))  # sorted is stable
    changes = []
    for decile in range(10):
        inside = [pair for place, pair in enumerate(pairs) if 10 * place // len(pairs) == decile]
        if relative == "decile":
            changes.append(sum(abs(w - v) for w, v in inside) / sum(abs(v) for _, v in inside))
        else:
            changes.append(sum((w - v) / (abs(v) + 1e-8) for w, v in inside) / len(inside))
    return changes
