"""Degenerate losses: fewer effective parameters than half the number of parameters, to a known amount."""

import math

import pytest
import torch

from grokprobe_llc.coefficient import compute_coefficient
from grokprobe_llc.langevin import LangevinSampler
from known_coefficients import two_layer_linear


def linear_network_loss(num_outputs, num_hidden, num_inputs):
    """‖W₂ W₁‖² / 2, a deep linear network whose target is zero; W₁ comes first."""
    num_first = num_hidden * num_inputs

    def evaluate(displacements, generators):
        first = displacements[:, :num_first].reshape(-1, num_hidden, num_inputs)
        second = displacements[:, num_first:].reshape(-1, num_outputs, num_hidden)
        outputs = second @ first
        gradients = [(second.mT @ outputs).flatten(1), (outputs @ first.mT).flatten(1)]
        return outputs.square().sum(dim=(1, 2)) / 2, torch.cat(gradients, dim=1)

    return evaluate


def test_product_of_two_weights_has_one_half_with_multiplicity_two():
    # n β E[L] = λ − (m − 1) / ln t + …: with λ = 1/2 and m = 2 the deficit is 1 / ln t
    deficits = {t: (0.5 - two_layer_linear(1, 1, 1, t)) * math.log(t) for t in (1e8, 1e12)}
    assert deficits[1e8] < deficits[1e12] < 1
    assert deficits[1e12] == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(("sizes", "coefficient"), [((2, 2, 2), 1.5), ((3, 2, 3), 2.5)])
def test_reduced_rank_regression_has_the_coefficient_of_aoyagi_and_watanabe(sizes, coefficient):
    # (2 H M + 2 H N + 2 M N − H² − M² − N²) / 8 for N outputs, H hidden units, M inputs, true rank 0 and even N + H + M
    n, h, m = sizes
    assert coefficient == (2 * (h * m + h * n + m * n) - h**2 - m**2 - n**2) / 8
    assert coefficient < (h * m + n * h) / 2
    assert two_layer_linear(*sizes, 1e12) == pytest.approx(coefficient, abs=1e-3)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 2, 2)])
def test_chains_find_the_localised_expectation(sizes):
    num_outputs, num_hidden, num_inputs = sizes
    num_parameters = num_hidden * (num_inputs + num_outputs)
    sampler = LangevinSampler(
        step_size=0.02,
        loss_factor=50.0,
        localisation=torch.tensor(1.0, dtype=torch.float64),
        num_burn_in=200,
        num_draws=500,
        is_adjusted=True,
    )
    origin = torch.zeros(num_parameters, dtype=torch.float64)
    chains = sampler.sample(linear_network_loss(*sizes), origin, list(range(48)))
    found = compute_coefficient(chains, 50.0)
    expected = two_layer_linear(*sizes, 50.0)
    assert found.error < 0.03 * expected
    assert abs(found.mean - expected) < 4 * found.error
