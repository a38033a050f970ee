"""What holds for every configuration of the lattice."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from grokprobe_tasks.ising.domain_walls import find_domain_walls
from grokprobe_tasks.ising.lattice import compute_energy

lattices = st.integers(3, 8).flatmap(
    lambda size: arrays.arrays("int8", (1, size, size), elements=st.sampled_from([-1, 1]))
)


@settings(deadline=None, max_examples=60)
@given(lattices, st.integers(0, 7), st.integers(0, 7))
def test_symmetries_of_the_lattice(spins, row_shift, column_shift):
    spins = torch.from_numpy(spins)
    images = (-spins, spins.roll((row_shift, column_shift), (1, 2)), spins.transpose(1, 2), spins.flip(1))
    for image in images:
        assert torch.equal(compute_energy(image), compute_energy(spins))
        assert torch.equal(find_domain_walls(image), find_domain_walls(spins))


@settings(deadline=None, max_examples=60)
@given(lattices)
def test_domain_walls_cost_energy(spins):
    """A wall that winds is at least L bonds long, and the two sides of a band have a wall each."""
    spins = torch.from_numpy(spins)
    size = spins.shape[-1]
    if find_domain_walls(spins):
        assert float(compute_energy(spins)) >= -2 * size**2 + 4 * size
