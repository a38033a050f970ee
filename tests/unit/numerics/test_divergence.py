import math

import pytest
import torch

from grokprobe.errors import UsageError
from grokprobe.numerics.divergence import compute_divergences


def outputs_of(seed, scale=1.0):
    return scale * torch.randn(5, 4, generator=torch.Generator().manual_seed(seed))


def probabilities(logits):
    largest = max(logits)
    weights = [math.exp(value - largest) for value in logits]
    return [weight / sum(weights) for weight in weights]


def test_categorical_agrees_with_loops():
    left, right = outputs_of(0, 3.0), outputs_of(1, 3.0)
    expected = [
        sum(p * math.log(p / q) for p, q in zip(probabilities(a), probabilities(b), strict=True))
        for a, b in zip(left.tolist(), right.tolist(), strict=True)
    ]
    found = compute_divergences(left, right, "categorical")
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_gaussian_is_half_the_squared_distance():
    left, right = outputs_of(0), outputs_of(1)
    expected = [sum((a - b) ** 2 for a, b in zip(*rows, strict=True)) / 2 for rows in zip(left, right, strict=True)]
    found = compute_divergences(left, right, "gaussian")
    torch.testing.assert_close(found, torch.stack(expected).double(), rtol=1e-6, atol=0)


def test_equal_distributions_are_at_distance_zero():
    left = outputs_of(0)
    assert (compute_divergences(left, left + 2, "categorical") < 1e-14).all()  # a shift of all logits says the same
    assert (compute_divergences(left, left, "categorical") == 0).all()


@pytest.mark.parametrize("size", [1e-3, 1e-5])
def test_small_divergences_keep_their_precision(size):
    left, direction = outputs_of(0).double(), outputs_of(1).double()
    p = left.softmax(dim=1)
    variance = (p * direction**2).sum(dim=1) - (p * direction).sum(dim=1) ** 2
    found = compute_divergences(left, left + size * direction, "categorical")
    torch.testing.assert_close(found, variance * size**2 / 2, rtol=10 * size, atol=0)


def test_certain_predictions_stay_finite():
    left, right = torch.tensor([[900.0, 0.0]]), torch.tensor([[0.0, 900.0]])
    assert compute_divergences(left, right, "categorical").item() == pytest.approx(900)
    assert compute_divergences(left, 2 * left, "categorical").item() == 0


def test_an_unknown_likelihood_is_refused():
    with pytest.raises(UsageError, match="expected a likelihood among categorical, gaussian, found 'poisson'"):
        compute_divergences(outputs_of(0), outputs_of(1), "poisson")  # type: ignore[arg-type]
