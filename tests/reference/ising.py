"""The Ising model by formula, by enumeration, spin by spin and site by site: slow, and independent of the sampler."""

import itertools
import math

import mpmath
import numpy as np


def kaufman_log_partition(coupling, size):
    """ln Z of the L × L torus at K = J/T, from the four products of Kaufman, Phys. Rev. 76, 1232 (1949).

    γ_0 = 2K + ln tanh K has a sign, negative above the critical temperature.
    """
    curve = mpmath.cosh(2 * coupling) / mpmath.tanh(2 * coupling)
    gammas = [2 * coupling + mpmath.log(mpmath.tanh(coupling))]
    gammas += [mpmath.acosh(curve - mpmath.cos(mpmath.pi * index / size)) for index in range(1, 2 * size)]
    total = mpmath.mpf(0)
    for first, function in itertools.product((0, 1), (mpmath.cosh, mpmath.sinh)):
        total += mpmath.fprod(2 * function(size * gamma / 2) for gamma in gammas[first::2])
    prefactor = mpmath.mpf(size * size) / 2 * mpmath.log(2 * mpmath.sinh(2 * coupling))
    return prefactor + mpmath.log(total) - mpmath.log(2)


def exact_energy(temperature, size):
    """Mean energy per site, −∂ ln Z / ∂K / L²."""
    with mpmath.workdps(40):
        slope = mpmath.diff(lambda coupling: kaufman_log_partition(coupling, size), 1 / mpmath.mpf(temperature))
        return float(-slope / size**2)


def exact_specific_heat(temperature, size):
    """Specific heat per site, K² ∂² ln Z / ∂K² / L²."""
    with mpmath.workdps(40):
        coupling = 1 / mpmath.mpf(temperature)
        curvature = mpmath.diff(lambda value: kaufman_log_partition(value, size), coupling, 2)
        return float(coupling**2 * curvature / size**2)


def all_configurations(size):
    """Every configuration, ±1, shape (2^(L²), L, L); bit i of the number of a configuration is site i, 1 = up."""
    numbers = np.arange(2 ** (size * size))
    bits = (numbers[:, None] >> np.arange(size * size)) & 1
    return (2 * bits - 1).reshape(-1, size, size)


def field_at(spins, row, column):
    """Sum of the four neighbours, periodic; ``spins`` of shape (…, L, L)."""
    size = spins.shape[-1]
    return (
        spins[..., (row + 1) % size, column]
        + spins[..., (row - 1) % size, column]
        + spins[..., row, (column + 1) % size]
        + spins[..., row, (column - 1) % size]
    )


def energies(spins):
    """Σ over sites of −σ h / 2: each bond is met from both ends."""
    size = spins.shape[-1]
    sites = itertools.product(range(size), repeat=2)
    return sum(-spins[..., row, column] * field_at(spins, row, column) / 2 for row, column in sites)


def boltzmann_weights(temperature, size):
    """Normalised exp(−E / T) of :func:`all_configurations`."""
    energy = energies(all_configurations(size))
    weights = np.exp(-(energy - energy.min()) / temperature)
    return weights / weights.sum()


def apply_random_site_update(weights, up_probabilities, size):
    """The distribution after one update of a random site, from ``weights`` over :func:`all_configurations`.

    ``up_probabilities``: of the new spin, for fields −4, −2, 0, 2, 4.
    """
    configurations = all_configurations(size)
    numbers = np.arange(len(weights))
    after = np.zeros_like(weights)
    for site in range(size * size):
        row, column = divmod(site, size)
        up = np.asarray(up_probabilities)[(field_at(configurations, row, column) + 4) // 2]
        either = weights + weights[numbers ^ (1 << site)]  # the same surroundings, the spin up or down
        after += either * np.where(configurations[:, row, column] > 0, up, 1 - up)
    return after / size**2


def run_chain(temperature, size, num_updates, generator):
    """One configuration of one chain that flips random sites with probability 1 / (1 + exp(ΔE / T))."""
    spins = generator.choice([-1, 1], size=(size, size))
    for _ in range(num_updates):
        row, column = generator.integers(0, size, 2)
        change = 2 * spins[row, column] * field_at(spins, row, column)
        if generator.random() < 1 / (1 + math.exp(change / temperature)):
            spins[row, column] *= -1
    return spins


def winds(spins, sign):
    """Whether a cluster of ``sign`` winds around the torus: a walk over the plane that covers it meets a site twice."""
    size = len(spins)
    visited = {}
    for start in itertools.product(range(size), repeat=2):
        if spins[start] != sign or start in visited:
            continue
        visited[start] = start
        queue = [start]
        for row, column in queue:  # positions in the plane
            for other in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                site = (other[0] % size, other[1] % size)
                if spins[site] != sign:
                    continue
                if site not in visited:
                    visited[site] = other
                    queue.append(other)
                elif visited[site] != other:
                    return True
    return False
