"""What holds for the correlations of any units with any features."""

import functools
import itertools

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given, settings

from grokprobe.numerics.comoments import compute_comoments
from grokprobe.numerics.correlation import (
    compute_correlation,
    compute_partial_correlation,
    compute_weighted_mean,
    find_best_feature,
)

LAW = settings(deadline=None, max_examples=40)
EPS = 4 * torch.finfo(torch.float64).eps
NUM_UNITS = 4
seeds = st.integers(0, 2**32 - 1)
nums_samples = st.integers(12, 60)
nums_features = st.integers(1, 4)
scales = st.floats(1e-6, 1e6)
signs = st.sampled_from([-1, 1])
shifts = st.floats(-10, 10)


def draw(rows, columns, seed):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sample(num_samples, num_features, seed):
    """Units that follow the features in part, and the features."""
    features = draw(num_samples, num_features, seed)
    mixture = features @ draw(num_features, NUM_UNITS, seed + 1)
    return mixture + draw(num_samples, NUM_UNITS, seed + 2), features


def correlate(comoments):
    return compute_correlation(comoments, EPS), compute_partial_correlation(comoments, EPS)


def agree(found, expected, atol=1e-9):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=atol, rtol=0)


@LAW
@given(
    units=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12),
    factor=st.floats(-1e6, 1e6),
    shift=st.floats(-1e6, 1e6),
    seed=seeds,
)
def test_never_beyond_one(units, factor, shift, seed):
    column = torch.tensor(units, dtype=torch.float64).unsqueeze(1)
    features = torch.cat([factor * column + shift, draw(len(units), 2, seed)], dim=1)
    for values in correlate(compute_comoments(column, features)):
        assert (values.isnan() | (values.abs() <= 1 + 1e-12)).all()


@LAW
@given(num_samples=nums_samples, num_features=nums_features, seed=seeds, scale=scales, sign=signs, shift=shifts)
def test_affine_maps_of_a_unit_or_of_all_features_give_the_sign(num_samples, num_features, seed, scale, sign, shift):
    units, features = sample(num_samples, num_features, seed)
    expected = [sign * values for values in correlate(compute_comoments(units, features))]
    factor = sign * scale
    agree(correlate(compute_comoments(factor * (units + shift), features)), expected)
    agree(correlate(compute_comoments(units, factor * (features + shift))), expected)


@LAW
@given(num_samples=nums_samples, num_features=nums_features, seed=seeds, scale=scales, sign=signs)
def test_the_sign_of_a_feature_is_its_own(num_samples, num_features, seed, scale, sign):
    units, features = sample(num_samples, num_features, seed)
    expected = correlate(compute_comoments(units, features))
    features[:, 0] *= sign * scale
    for found, before in zip(correlate(compute_comoments(units, features)), expected, strict=True):
        np.testing.assert_allclose(found[:, 0], sign * before[:, 0], atol=1e-9)
        np.testing.assert_allclose(found[:, 1:], before[:, 1:], atol=1e-9)


@LAW
@given(num_samples=nums_samples, num_features=nums_features, seed=seeds)
def test_the_order_of_samples_does_not_matter(num_samples, num_features, seed):
    units, features = sample(num_samples, num_features, seed)
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))
    expected = correlate(compute_comoments(units, features))
    agree(correlate(compute_comoments(units[order], features[order])), expected)


@LAW
@given(num_samples=nums_samples, num_features=nums_features, seed=seeds, data=st.data())
def test_any_split_into_batches_gives_the_same(num_samples, num_features, seed, data):
    units, features = sample(num_samples, num_features, seed)
    cuts = sorted(data.draw(st.sets(st.integers(1, num_samples - 1), max_size=6)))
    bounds = [0, *cuts, num_samples]
    parts = [compute_comoments(units[start:stop], features[start:stop]) for start, stop in itertools.pairwise(bounds)]
    merged = functools.reduce(lambda one, other: one.merged(other), parts)
    agree(correlate(merged), correlate(compute_comoments(units, features)))


@LAW
@given(num_samples=nums_samples, num_features=nums_features, seed=seeds, value=st.floats(-1e30, 1e30))
def test_a_constant_unit_has_none(num_samples, num_features, seed, value):
    units, features = sample(num_samples, num_features, seed)
    units[:, 0] = value
    for values in correlate(compute_comoments(units, features)):
        assert values[0].isnan().all()
        assert not values[1:].isnan().any()


@LAW
@given(
    num_samples=nums_samples,
    num_features=nums_features,
    seed=seeds,
    scale=scales,
    sign=signs,
    shift=shifts,
    data=st.data(),
)
def test_a_unit_that_is_a_feature_has_one(num_samples, num_features, seed, scale, sign, shift, data):
    features = draw(num_samples, num_features, seed)
    chosen = data.draw(st.integers(0, num_features - 1))
    plain, partial = correlate(compute_comoments(sign * scale * (features + shift), features))
    np.testing.assert_allclose(plain[chosen, chosen], sign, atol=1e-12)
    np.testing.assert_allclose(partial[chosen, chosen], sign, atol=1e-9)


@LAW
@given(num_samples=nums_samples, num_features=nums_features, seed=seeds)
def test_every_partial_of_a_linear_function_of_all_features_is_one(num_samples, num_features, seed):
    features = draw(num_samples, num_features, seed)
    factors = draw(num_features, NUM_UNITS, seed + 1)
    factors += factors.sign()  # none near zero
    partial = correlate(compute_comoments(features @ factors, features))[1]
    np.testing.assert_allclose(partial, factors.sign().T, atol=1e-9)


@LAW
@given(num_samples=nums_samples, seed=seeds)
def test_partial_with_one_feature_is_plain(num_samples, seed):
    plain, partial = correlate(compute_comoments(*sample(num_samples, 1, seed)))
    np.testing.assert_allclose(partial, plain, atol=1e-14)


@LAW
@given(num_samples=nums_samples, num_features=nums_features, seed=seeds, scale=scales)
def test_a_weighted_mean_lies_among_its_values(num_samples, num_features, seed, scale):
    comoments = compute_comoments(*sample(num_samples, num_features, seed))
    values = compute_correlation(comoments, EPS).abs()
    mean = compute_weighted_mean(values, comoments.unit_magnitudes)
    assert (mean >= values.amin(dim=0) - 1e-15).all()
    assert (mean <= values.amax(dim=0) + 1e-15).all()
    torch.testing.assert_close(compute_weighted_mean(values, scale * comoments.unit_magnitudes), mean)


@LAW
@given(num_samples=nums_samples, num_features=nums_features, seed=seeds)
def test_the_best_feature_has_the_largest_magnitude(num_samples, num_features, seed):
    correlation = compute_correlation(compute_comoments(*sample(num_samples, num_features, seed)), EPS)
    best = find_best_feature(correlation)
    largest = correlation.abs().gather(1, best.unsqueeze(1)).squeeze(1)
    np.testing.assert_allclose(largest, correlation.abs().amax(dim=1), atol=1e-12)
