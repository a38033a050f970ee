"""Chains against expectations that are known exactly."""

import math

import numpy as np
import pytest
import torch

from grokprobe_llc.coefficient import compute_coefficient
from grokprobe_llc.langevin import LangevinSampler
from known_coefficients import quadratic, quadratic_chain

#: 300 directions from stiff to flat.
CURVATURES = torch.logspace(-3, 0, 300, dtype=torch.float64)


def quadratic_loss(curvatures):
    def evaluate(displacements, generators):
        return (curvatures * displacements.square()).sum(dim=1) / 2, curvatures * displacements

    return evaluate


def power_loss(exponent):
    def evaluate(displacements, generators):
        return displacements.pow(exponent).sum(dim=1), exponent * displacements.pow(exponent - 1)

    return evaluate


def build_sampler(**changes):
    settings = {
        "step_size": 1e-3,
        "loss_factor": 1000.0,
        "localisation": torch.tensor(20.0, dtype=torch.float64),
        "num_burn_in": 50,
        "num_draws": 300,
    }
    return LangevinSampler(**{**settings, **changes})


def estimate(sampler, loss, num_parameters, num_chains=16):
    origin = torch.zeros(num_parameters, dtype=torch.float64)
    chains = sampler.sample(loss, origin, list(range(num_chains)))
    return compute_coefficient(chains, sampler.loss_factor)


@pytest.mark.parametrize(("step_size", "num_burn_in"), [(1e-3, 0), (1e-3, 100), (3e-3, 10)])
def test_unadjusted_chains_have_their_exact_expectation(step_size, num_burn_in):
    sampler = build_sampler(step_size=step_size, num_burn_in=num_burn_in, num_draws=400)
    found = estimate(sampler, quadratic_loss(CURVATURES), len(CURVATURES))
    expected = quadratic_chain(CURVATURES.tolist(), 1000.0, 20.0, step_size, num_burn_in, 400)
    assert found.error < 0.01 * expected
    assert abs(found.mean - expected) < 4 * found.error


def test_step_size_has_the_stated_bias():
    curvature, gamma, step_size = 1.0, 100.0, 2e-3
    a = 1000 * curvature + gamma
    exact = quadratic([curvature], 1000.0, gamma) / (1 - step_size * a / 4)
    assert quadratic_chain([curvature], 1000.0, gamma, step_size, 100, 10) == pytest.approx(exact, rel=1e-12)
    sampler = build_sampler(step_size=step_size, localisation=torch.tensor(gamma, dtype=torch.float64))
    found = estimate(sampler, quadratic_loss(torch.ones(200, dtype=torch.float64)), 200)
    assert abs(found.mean - 200 * exact) < 4 * found.error
    assert abs(found.mean - 200 * quadratic([curvature], 1000.0, gamma)) > 50 * found.error


def test_adjustment_takes_the_bias_away():
    curvatures = torch.ones(20, dtype=torch.float64)
    sampler = build_sampler(step_size=6e-4, is_adjusted=True, num_draws=500)
    found = estimate(sampler, quadratic_loss(curvatures), 20, num_chains=32)
    assert found.error < 0.01 * found.mean
    assert abs(found.mean - quadratic(curvatures, 1000.0, 20.0)) < 4 * found.error
    biased = estimate(build_sampler(step_size=6e-4, num_draws=500), quadratic_loss(curvatures), 20, num_chains=32)
    assert biased.mean - found.mean > 10 * found.error


def test_localisation_may_differ_between_parameters():
    localisation = torch.logspace(1, 3, 300, dtype=torch.float64)
    found = estimate(build_sampler(localisation=localisation), quadratic_loss(CURVATURES), 300)
    expected = quadratic_chain(CURVATURES.tolist(), 1000.0, localisation.tolist(), 1e-3, 50, 300)
    assert abs(found.mean - expected) < 4 * found.error < 0.04 * expected


@pytest.mark.parametrize("exponent", [2, 4, 6])
def test_a_power_has_its_reciprocal_as_coefficient(exponent):
    # Σ w_j^k over d parameters, without localisation: E[n β L] = d / k at every temperature, by scaling
    sampler = build_sampler(
        step_size=0.03, loss_factor=10.0, localisation=torch.tensor(0.0), is_adjusted=True, num_draws=1000
    )
    found = estimate(sampler, power_loss(exponent), 4, num_chains=32)
    assert found.error < 0.03 * found.mean
    assert abs(found.mean - 4 / exponent) < 4 * found.error


def test_error_falls_as_one_over_the_root_of_the_draws():
    curvatures = torch.full((5,), 0.5, dtype=torch.float64)
    spreads = []
    for num_draws in (50, 800):
        sampler = build_sampler(num_draws=num_draws)
        found = estimate(sampler, quadratic_loss(curvatures), 5, num_chains=64)
        expected = quadratic_chain([0.5] * 5, 1000.0, 20.0, 1e-3, 50, num_draws)
        spreads.append((found.of_chains - expected).square().mean().sqrt().item())
    assert spreads[0] / spreads[1] == pytest.approx(4, rel=0.35)  # of 64 chains: 12 % standard error


def test_standard_errors_of_both_kinds_agree():
    found = estimate(build_sampler(num_draws=300), quadratic_loss(CURVATURES), 300, num_chains=64)
    assert found.mixing.standard_error == pytest.approx(found.error, rel=0.35)
    assert found.mixing.r_hat == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("is_adjusted", [False, True])
def test_a_chain_alone_is_the_chain_in_the_batch(is_adjusted):
    sampler = build_sampler(is_adjusted=is_adjusted, num_draws=50)
    origin = torch.zeros(300, dtype=torch.float64)
    together = sampler.sample(quadratic_loss(CURVATURES), origin, [5, 6, 7])
    alone = sampler.sample(quadratic_loss(CURVATURES), origin, [6])
    torch.testing.assert_close(alone.losses[0], together.losses[1], rtol=1e-10, atol=0)
    assert alone.acceptance[0] == together.acceptance[1]
    assert not torch.allclose(together.losses[0], together.losses[1])


def test_burn_in_is_the_beginning_of_the_same_chain():
    origin = torch.zeros(300, dtype=torch.float64)
    whole = build_sampler(num_burn_in=0, num_draws=30).sample(quadratic_loss(CURVATURES), origin, [1])
    late = build_sampler(num_burn_in=20, num_draws=10).sample(quadratic_loss(CURVATURES), origin, [1])
    assert torch.equal(whole.losses[:, 20:], late.losses)
    assert (whole.losses > 0).all()  # the start itself, with loss 0, is no draw


def test_diverged_chain_is_undefined_counted_and_harms_no_other():
    def loss(displacements, generators):
        losses, gradients = quadratic_loss(CURVATURES)(displacements, generators)
        seeds = torch.tensor([generator.initial_seed() for generator in generators])
        return losses, torch.where((seeds == 2).unsqueeze(1), math.inf, gradients)

    found = estimate(build_sampler(), loss, 300, num_chains=4)
    alone = estimate(build_sampler(), quadratic_loss(CURVATURES), 300, num_chains=4)
    assert found.of_chains.isnan().tolist() == [False, False, True, False]
    assert found.diverged_fraction == 0.25
    sound = [0, 1, 3]
    assert torch.equal(found.of_chains[sound], alone.of_chains[sound])
    assert found.mean == pytest.approx(alone.of_chains[sound].mean().item(), rel=1e-12)
    assert math.isfinite(found.error)
    assert math.isfinite(found.mixing.r_hat)


def test_too_large_a_step_diverges():
    # ε a = 0.01 · 1020 > 4 along the stiff axis: (1 − ε a / 2)^400 overflows
    found = estimate(build_sampler(step_size=0.01, num_draws=400), quadratic_loss(CURVATURES), 300, num_chains=2)
    assert found.diverged_fraction == 1
    assert np.isnan([found.mean, found.error, found.drift, found.mixing.r_hat]).all()


def test_adjusted_chain_refuses_what_is_not_finite():
    def loss(displacements, generators):
        losses, gradients = power_loss(2)(displacements, generators)
        is_outside = displacements.abs().amax(dim=1) > 0.1
        return torch.where(is_outside, math.nan, losses), gradients

    sampler = build_sampler(step_size=0.01, loss_factor=10.0, is_adjusted=True)
    chains = sampler.sample(loss, torch.zeros(2, dtype=torch.float64), [0, 1])
    assert not chains.has_diverged.any()
    assert (chains.losses <= 2 * 0.1**2).all()
    assert (chains.acceptance < 0.9).all()
