"""The Ising model on the square lattice: its critical point and the features of a configuration.

Energies are in units of the coupling J, temperatures in units of J over Boltzmann's constant.
"""

import math
from typing import Final

import torch

#: Onsager's critical temperature 2 / ln(1 + √2) of the infinite lattice.
CRITICAL_TEMPERATURE: Final = 2 / math.log1p(math.sqrt(2))


def compute_energy(spins: torch.Tensor) -> torch.Tensor:
    """Returns E = −Σ_<ij> σ_i σ_j with periodic boundaries, each bond once.

    Between −2 L² (all equal) and 2 L². Invariant to a flip of every spin, to translation and to the symmetries of the
    square.

    Args:
        spins: ±1, shape (…, L, L) with L > 2: on a smaller torus a bond would count twice.

    Returns:
        float64, shape (…,).

    Reference: Manning-Coe et al., arXiv 2502.01739, section 2.
    """
    spins = spins.to(torch.float64)
    neighbours = spins.roll(1, dims=-1) + spins.roll(1, dims=-2)
    return -(spins * neighbours).sum(dim=(-1, -2))


def compute_magnetization(spins: torch.Tensor) -> torch.Tensor:
    """Returns M = Σ_i σ_i, float64 of shape (…,), between −L² and L².

    Args:
        spins: ±1, shape (…, L, L).
    """
    return spins.to(torch.float64).sum(dim=(-1, -2))
