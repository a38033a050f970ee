"""What holds for any steps and changes."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from grokprobe.numerics.steps import compute_cosines, compute_decile_changes

LAW = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 40)
factors = st.floats(1e-6, 1e6)


def draw(num_values, seed):
    return torch.randn(num_values, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@LAW
@given(size=sizes, seed=seeds, factor=factors, sign=st.sampled_from([-1, 1]))
def test_cosines_have_their_range_and_ignore_size(size, seed, factor, sign):
    u, v = draw(size, seed), draw(size, seed + 1)
    cosine = compute_cosines([u], [v]).whole.item()
    assert -1 - 1e-12 <= cosine <= 1 + 1e-12
    assert compute_cosines([sign * factor * u], [v]).whole.item() == pytest.approx(sign * cosine)
    assert compute_cosines([v], [u]).whole.item() == pytest.approx(cosine)


@LAW
@given(size=sizes, cut=st.integers(1, 39), seed=seeds)
def test_the_whole_does_not_depend_on_the_parts(size, cut, seed):
    u, v = draw(size + cut, seed), draw(size + cut, seed + 1)
    in_parts = compute_cosines([u[:cut], u[cut:]], [v[:cut], v[cut:]])
    assert in_parts.whole.item() == pytest.approx(compute_cosines([u], [v]).whole.item())


@LAW
@given(size=st.integers(10, 60), seed=seeds, factor=factors, shrink=st.floats(0, 0.99))
def test_shrinking_is_the_same_in_every_decile_and_scale(size, seed, factor, shrink):
    previous = factor * draw(size, seed)
    changes = compute_decile_changes((1 - shrink) * previous, previous)
    assert changes.tolist() == pytest.approx([shrink] * 10, abs=1e-12)


@LAW
@given(size=st.integers(10, 60), seed=seeds)
def test_changes_ignore_signs_and_order(size, seed):
    weights, previous = draw(size, seed), draw(size, seed + 1)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    expected = compute_decile_changes(weights, previous).tolist()
    assert compute_decile_changes(-weights[order], -previous[order]).tolist() == pytest.approx(expected)
    assert min(expected) >= 0
