import math

import pytest
import torch

import mixing_by_loops as reference
from grokprobe_llc.mixing import Mixing, compute_mixing


def autoregressive(correlation, num_chains, num_draws, seed=0):
    """x' = ρ x + √(1 − ρ²) ξ from equilibrium: variance 1, autocorrelation ρ^t."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(num_draws, num_chains, generator=generator, dtype=torch.float64)
    values = [noise[0]]
    for step in noise[1:]:
        values.append(correlation * values[-1] + math.sqrt(1 - correlation**2) * step)
    return torch.stack(values, dim=1)


@pytest.mark.parametrize(("num_chains", "num_draws"), [(1, 40), (3, 41), (4, 7), (2, 4)])
@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.9])
def test_agrees_with_loops(num_chains, num_draws, correlation):
    traces = autoregressive(correlation, num_chains, num_draws) + 100
    mixing = compute_mixing(traces)
    assert mixing.r_hat == pytest.approx(reference.r_hat(traces.tolist()), rel=1e-9)
    size = reference.effective_sample_size(traces.tolist())
    assert mixing.effective_sample_size == pytest.approx(size, rel=1e-9)
    variance = reference.pooled_variance(reference.split(traces.tolist()))
    assert mixing.standard_error == pytest.approx(math.sqrt(variance / size), rel=1e-9)


@pytest.mark.parametrize("correlation", [-0.3, 0.0, 0.5, 0.9])
def test_autoregressive_chains_are_worth_what_they_should(correlation):
    mixing = compute_mixing(autoregressive(correlation, 8, 4000))
    assert mixing.effective_sample_size == pytest.approx(32000 * (1 - correlation) / (1 + correlation), rel=0.1)
    assert mixing.r_hat == pytest.approx(1, abs=0.01)


def test_chains_that_disagree_or_drift_are_found():
    traces = autoregressive(0.0, 4, 200)
    assert compute_mixing(traces + torch.tensor([[0.0], [0.0], [0.0], [3.0]])).r_hat > 1.3
    assert compute_mixing(traces + torch.linspace(0, 5, 200)).r_hat > 1.3


def test_shift_scale_and_order_do_not_matter():
    traces = autoregressive(0.7, 4, 100)
    before, after = compute_mixing(traces), compute_mixing(-3 * traces.flip(0) + 7)
    assert after.r_hat == pytest.approx(before.r_hat, rel=1e-12)
    assert after.effective_sample_size == pytest.approx(before.effective_sample_size, rel=1e-9)
    assert after.standard_error == pytest.approx(3 * before.standard_error, rel=1e-9)


@pytest.mark.parametrize("traces", [torch.full((3, 100), 0.1), torch.randn(4, 3), torch.empty(0, 100)])
def test_nothing_is_known_of_traces_that_are_equal_short_or_absent(traces):
    mixing = compute_mixing(traces)
    assert isinstance(mixing, Mixing)
    assert math.isnan(mixing.r_hat)
    assert math.isnan(mixing.effective_sample_size)
    assert math.isnan(mixing.standard_error)
