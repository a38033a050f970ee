"""Streamed changes by decile are those of the sorted weights."""

import pytest
import torch

from grokprobe.numerics import blocks, decile_changes
from grokprobe.numerics.decile_changes import change_by_decile, stream_decile_changes
from grokprobe.numerics.steps import compute_decile_changes


def draw(num_weights, seed, dtype=torch.float32):
    return torch.randn(num_weights, generator=torch.Generator().manual_seed(seed)).to(dtype)


def stream(parts, previous, relative="decile"):
    return stream_decile_changes(
        lambda: iter(parts), lambda: iter(previous), sum(part.numel() for part in parts), relative
    )


@pytest.mark.parametrize("relative", ["decile", "weight"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("num_weights", [1, 3, 9, 10, 11, 400])
def test_agrees_with_sorting(monkeypatch, num_weights, dtype, relative):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 17)
    weights, previous = draw(num_weights, 0, dtype), draw(num_weights, 1, dtype)
    expected = compute_decile_changes(weights, previous, relative)
    for cuts in ([num_weights], [num_weights // 3, num_weights - num_weights // 3]):
        found = stream(weights.split(cuts), previous.split(cuts), relative)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0, equal_nan=True)


@pytest.mark.parametrize("values", [[0.0], [1.0, -1.0], [0.0, 1.0, 2.0], [1.0, 1.0 + 2**-20, 3.0]])
def test_ties_are_in_order_of_place(monkeypatch, values):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 7)
    weights = torch.tensor(values).repeat(50)[
        torch.randperm(50 * len(values), generator=torch.Generator().manual_seed(0))
    ]
    previous = draw(len(weights), 1)
    torch.testing.assert_close(
        stream([weights], [previous]), compute_decile_changes(weights, previous), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_spoil_their_decile_alone(value):
    weights, previous = draw(100, 0), draw(100, 1)
    weights[13] = value
    expected = compute_decile_changes(weights, previous)
    assert expected.isnan().tolist() == [decile == 9 for decile in range(10)]
    torch.testing.assert_close(stream([weights], [previous]), expected, rtol=1e-12, atol=0, equal_nan=True)


def test_many_weights_are_streamed_and_few_are_sorted(monkeypatch):
    calls = []
    monkeypatch.setattr(decile_changes, "stream_decile_changes", lambda *arguments: calls.append(arguments))
    parts = [draw(30, 0).reshape(5, 6), draw(4, 1)]
    found = change_by_decile(lambda: parts, lambda: parts, 34)
    assert found.tolist() == [0] * 10
    monkeypatch.setattr(decile_changes, "BLOCK_ELEMENTS", 33)
    assert change_by_decile(lambda: parts, lambda: parts, 34) is None
    assert calls[0][2:] == (34, "decile")
