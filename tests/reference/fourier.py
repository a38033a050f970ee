"""Power spectra by explicit sums over the group: slow, and independent of any transform library."""

import cmath
import math


def complex_powers(signal):
    """|X_k|² for k = 0 … n − 1, from the definition of the orthonormal transform."""
    n = len(signal)
    powers = []
    for k in range(n):
        amplitude = sum(signal[j] * cmath.exp(-2j * cmath.pi * j * k / n) for j in range(n)) / math.sqrt(n)
        powers.append(abs(amplitude) ** 2)
    return powers


def folded_powers(signal):
    """Power per frequency 0 … n//2: k and n − k together where they differ."""
    n = len(signal)
    powers = complex_powers(signal)
    return [powers[k] if k == (n - k) % n else powers[k] + powers[n - k] for k in range(n // 2 + 1)]


def real_basis(n):
    """Orthonormal vectors as (frequency, vector): constant, cos and sin of each frequency, the alternating one."""
    vectors = [(0, [1 / math.sqrt(n)] * n)]
    for k in range(1, n // 2 + 1):
        if 2 * k == n:
            vectors.append((k, [(-1) ** j / math.sqrt(n) for j in range(n)]))
            continue
        angles = [2 * math.pi * j * k / n for j in range(n)]
        vectors.append((k, [math.sqrt(2 / n) * math.cos(angle) for angle in angles]))
        vectors.append((k, [math.sqrt(2 / n) * math.sin(angle) for angle in angles]))
    return vectors


def real_powers(signal):
    """Squared coefficients in :func:`real_basis`."""
    return [sum(w * v for w, v in zip(signal, vector, strict=True)) ** 2 for _, vector in real_basis(len(signal))]


MODE_POWERS = {"rfft": folded_powers, "fft": complex_powers, "sincos": real_powers}


def ipr(powers):
    """Σ P² / (Σ P)²."""
    return sum(power**2 for power in powers) / sum(powers) ** 2
