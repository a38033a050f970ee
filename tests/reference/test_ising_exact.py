"""The exact solution against enumeration and against published-precision values."""

import numpy as np
import pytest
import torch

from grokprobe_tasks.ising.lattice import CRITICAL_TEMPERATURE, compute_energy
from reference import ising


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("temperature", [1.0, 2.0, CRITICAL_TEMPERATURE, 2.6, 5.0])
def test_formula_is_enumeration(size, temperature):
    weights = ising.boltzmann_weights(temperature, size)
    energy = ising.energies(ising.all_configurations(size))
    mean = weights @ energy
    variance = weights @ (energy - mean) ** 2
    assert ising.exact_energy(temperature, size) == pytest.approx(mean / size**2, rel=1e-12)
    assert ising.exact_specific_heat(temperature, size) == pytest.approx(
        variance / (temperature * size) ** 2, rel=1e-11
    )


@pytest.mark.parametrize(
    ("size", "temperature", "energy", "specific_heat"),
    [
        (4, 2.0, -1.75538028877744, 0.6055326572101),
        (4, 2.6, -1.29880758947705, 0.7907798413829),
        (8, CRITICAL_TEMPERATURE, -1.491589107440, 1.14555923989),
        (16, 2.0, -1.745530668990919, 0.725508767737),
        (16, CRITICAL_TEMPERATURE, -1.453064852813477, 1.4987049594),
        (16, 2.6, -1.039110011142419, 0.799094250291),
        (64, 2.0, -1.745564575312522, None),
        (64, 2.6, -1.028293703999124, None),
    ],
)
def test_known_values(size, temperature, energy, specific_heat):
    assert ising.exact_energy(temperature, size) == pytest.approx(energy, rel=1e-12)
    if specific_heat is not None:
        assert ising.exact_specific_heat(temperature, size) == pytest.approx(specific_heat, rel=1e-10)


def test_energy_of_every_configuration():
    configurations = ising.all_configurations(4)
    assert np.array_equal(compute_energy(torch.from_numpy(configurations)).numpy(), ising.energies(configurations))
