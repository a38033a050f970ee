"""What holds for any weights and any curve."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from grokprobe.evaluation import RunningEvaluation
from grokprobe.numerics.compression_curve import summarise_curve
from grokprobe.numerics.low_rank import decompose
from grokprobe.numerics.pruning import compute_magnitudes, draw_scores, order_by_tensor, order_globally
from grokprobe.numerics.quantization import quantize_uniformly
from unit.testing.miniature import Doubling

LAW = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**32 - 1)
amounts = st.floats(0, 1)
sides = st.integers(1, 7)
ORDERS = {
    "layer": lambda weights, seed: order_by_tensor(compute_magnitudes(weights)),
    "global": lambda weights, seed: order_globally(compute_magnitudes(weights)),
    "global_normalized": lambda weights, seed: order_globally(compute_magnitudes(weights, relative_to_norm=True)),
    "random": lambda weights, seed: order_by_tensor(draw_scores(weights, torch.Generator().manual_seed(seed))),
}


def draw(rows, columns, seed):
    """Weights with ties and zeros among them."""
    generator = torch.Generator().manual_seed(seed)
    continuous, few = (torch.randn(rows, columns, generator=generator) for _ in range(2))
    return {"continuous": continuous, "few": few.round()}


@LAW
@given(rows=sides, columns=sides, seed=seeds, pair=st.tuples(amounts, amounts), kind=st.sampled_from(sorted(ORDERS)))
def test_masks_are_nested_and_leave_the_input(rows, columns, seed, pair, kind):
    weights = draw(rows, columns, seed)
    before = {name: tensor.clone() for name, tensor in weights.items()}
    order = ORDERS[kind](weights, seed)
    less, more = (order.prune(weights, amount) for amount in sorted(pair))
    for name, tensor in weights.items():
        assert tensor.equal(before[name])
        assert ((less[name] == tensor) | (less[name] == 0)).all()
        assert ((more[name] == less[name]) | (more[name] == 0)).all()
        assert order.prune(weights, 0)[name].equal(tensor)
        assert not order.prune(weights, 1)[name].any()


@LAW
@given(rows=sides, columns=sides, seed=seeds, amount=amounts, factor=st.sampled_from([-4.0, 0.125, 8.0]))
def test_magnitude_does_not_see_a_common_factor(rows, columns, seed, amount, factor):
    weights = draw(rows, columns, seed)
    scaled = {name: factor * tensor for name, tensor in weights.items()}
    for kind in ("layer", "global"):
        pruned, again = (ORDERS[kind](given, seed).prune(given, amount) for given in (weights, scaled))
        assert all((factor * pruned[name]).equal(again[name]) for name in weights)


@LAW
@given(rows=sides, columns=sides, seed=seeds, bits=st.integers(2, 20), factor=st.floats(1e-3, 1e3))
def test_quantization_is_odd_idempotent_and_near(rows, columns, seed, bits, factor):
    weights = draw(rows, columns, seed)["continuous"].double()
    quantized = quantize_uniformly(weights, bits)
    step = weights.abs().max() / (2 ** (bits - 1) - 1)
    assert ((quantized - weights).abs() <= step / 2 * (1 + 1e-9)).all()
    assert quantize_uniformly(-weights, bits).equal(-quantized)
    torch.testing.assert_close(quantize_uniformly(quantized, bits), quantized, rtol=0, atol=1e-9 * float(step))
    torch.testing.assert_close(quantize_uniformly(weights.abs().max().view(1), bits), weights.abs().max().view(1))


@LAW
@given(rows=sides, columns=sides, seed=seeds, pair=st.tuples(amounts, amounts))
def test_truncation_loses_no_less_at_a_larger_amount(rows, columns, seed, pair):
    weights = draw(rows, columns, seed)["continuous"].double()
    form = decompose(weights)
    less, more = (torch.linalg.vector_norm(form.truncate(amount) - weights) for amount in sorted(pair))
    assert less <= more + 1e-9
    assert torch.linalg.matrix_rank(form.truncate(max(pair))) <= round((1 - max(pair)) * min(rows, columns))
    assert form.truncate(0).equal(weights)
    assert not form.truncate(1).any()


accuracies = st.lists(st.floats(0, 1), min_size=2, max_size=12)


@LAW
@given(accuracies=accuracies)
def test_compressibility_has_its_range(accuracies):
    num_steps = len(accuracies) - 1
    summary = summarise_curve(np.arange(num_steps + 1) / num_steps, np.array(accuracies))
    assert summary.compressibility >= 1 - 1e-12
    if accuracies[-1] < 1:
        assert summary.compressibility <= 2 * num_steps / (1 - accuracies[-1]) * (1 + 1e-12)
    assert summary.compressibility_error >= 0
    assert -1e-12 <= summary.area <= 1 + 1e-12
    if not np.isnan(summary.amount_at_95):
        assert summary.amount_at_95 <= summary.amount_at_95_relative


@LAW
@given(accuracies=accuracies, every=st.integers(2, 4))
def test_falling_curve_on_a_finer_grid_stays_within_the_error(accuracies, every):
    fine = np.repeat(np.sort(accuracies)[::-1], every)[: (len(accuracies) - 1) * every + 1]
    fine_amounts = np.arange(len(fine)) / (len(fine) - 1)
    finer = summarise_curve(fine_amounts, fine)
    coarse = summarise_curve(fine_amounts[::every], fine[::every])
    upper = coarse.compressibility + coarse.compressibility_error
    assert finer.compressibility <= upper * (1 + 1e-9)
    assert finer.compressibility >= (coarse.compressibility - coarse.compressibility_error) * (1 - 1e-9)


@LAW
@given(seed=seeds, cut=st.integers(1, 39))
def test_evaluation_does_not_depend_on_the_batches(seed, cut):
    outputs = 5 * torch.randn(40, 3, generator=torch.Generator().manual_seed(seed))
    targets = torch.arange(40) % 3
    whole, split = RunningEvaluation(), RunningEvaluation()
    whole.add(Doubling(), outputs, targets)
    for part in (slice(None, cut), slice(cut, None)):
        split.add(Doubling(), outputs[part], targets[part])
    assert split.result() == pytest.approx(whole.result(), rel=1e-12)
