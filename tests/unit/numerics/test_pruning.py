import math

import pytest
import torch

from grokprobe.numerics.pruning import compute_magnitudes, draw_scores, order_by_tensor, order_globally
from reference import compression as reference


def draw(seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"a": (3, 5), "b": (7,), "c": (2, 3, 2, 2)}
    # few different values, so that there are ties in plenty
    return {name: torch.randint(-4, 5, shape, generator=generator) / 4 for name, shape in shapes.items()}


@pytest.mark.parametrize("amount", [0, 0.02, 0.1, 0.29, 0.5, 0.77, 0.99, 1])
def test_each_tensor_agrees_with_removing_one_at_a_time(amount):
    weights = draw()
    pruned = order_by_tensor(compute_magnitudes(weights)).prune(weights, amount)
    for name, tensor in weights.items():
        flat = tensor.flatten().tolist()
        assert pruned[name].flatten().tolist() == reference.prune(flat, [abs(weight) for weight in flat], amount)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("amount", [0, 0.1, 0.5, 0.93, 1])
def test_all_tensors_agree_with_removing_one_at_a_time(amount, relative):
    weights = draw()
    pruned = order_globally(compute_magnitudes(weights, relative_to_norm=relative)).prune(weights, amount)
    flat = [weight for tensor in weights.values() for weight in tensor.flatten().tolist()]
    norms = [math.sqrt(sum(w**2 for w in t.flatten().tolist())) if relative else 1 for t in weights.values()]
    scores = [abs(w) / norm for norm, t in zip(norms, weights.values(), strict=True) for w in t.flatten().tolist()]
    found = [weight for name in weights for weight in pruned[name].flatten().tolist()]
    assert found == reference.prune(flat, scores, amount)


@pytest.mark.parametrize(("amount", "num_zeros"), [(0.25, 0), (0.3, 1), (0.75, 2), (0.7, 1)])
def test_halves_are_rounded_to_even(amount, num_zeros):
    weights = {"w": torch.tensor([1.0, 2.0])}
    pruned = order_by_tensor(weights).prune(weights, amount)["w"]
    assert (pruned == 0).sum() == num_zeros


def test_own_pruned_form_stays_itself():
    weights = {"w": torch.tensor([[0.0, 3.0, 0.0], [-2.0, 0.0, 0.0]])}
    order = order_by_tensor(compute_magnitudes(weights))
    for amount in (0, 0.2, 0.4, 0.6):
        assert order.prune(weights, amount)["w"].equal(weights["w"])
    assert order.prune(weights, 5 / 6)["w"].tolist() == [[0, 3, 0], [0, 0, 0]]


def test_nan_goes_last_and_zeros_have_no_norm():
    assert order_by_tensor({"w": torch.tensor([math.nan, 1.0, math.inf])}).places["w"].tolist() == [2, 0, 1]
    scores = compute_magnitudes({"zero": torch.zeros(2), "w": torch.tensor([3.0, -4.0])}, relative_to_norm=True)
    assert {name: score.tolist() for name, score in scores.items()} == {"zero": [0, 0], "w": [0.6, 0.8]}


def test_nothing_to_order():
    assert order_globally({}).prune({}, 0.5) == order_by_tensor({}).prune({}, 0.5) == {}


def test_random_scores_come_from_the_generator_alone():
    weights = draw()
    first, again, other = (draw_scores(weights, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(first[name].equal(again[name]) and not first[name].equal(other[name]) for name in weights)
    assert all(first[name].min() >= 0 and first[name].max() < 1 for name in weights)
