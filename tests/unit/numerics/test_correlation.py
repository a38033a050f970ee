import numpy as np
import pytest
import torch

from grokprobe.numerics.comoments import compute_comoments
from grokprobe.numerics.correlation import (
    compute_correlation,
    compute_partial_correlation,
    compute_weighted_mean,
    find_best_feature,
)
from reference import correlation as reference

EPS = 4 * torch.finfo(torch.float64).eps


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def correlate(units, features, tolerance=EPS):
    comoments = compute_comoments(units, features)
    return compute_correlation(comoments, tolerance), compute_partial_correlation(comoments, tolerance)


@pytest.mark.parametrize(("num_samples", "num_features"), [(5, 1), (30, 2), (30, 3), (200, 5)])
def test_agrees_with_scipy_and_least_squares(num_samples, num_features):
    features = draw(num_samples, num_features) @ draw(num_features, num_features, seed=1) + 3
    units = features @ draw(num_features, 6, seed=2) + draw(num_samples, 6, seed=3) - 7
    plain, partial = correlate(units, features)
    np.testing.assert_allclose(plain, reference.correlation(units.numpy(), features.numpy()), atol=1e-13)
    np.testing.assert_allclose(partial, reference.partial_correlation(units.numpy(), features.numpy()), atol=1e-9)


def test_partial_tells_the_cause_from_what_goes_along():
    cause, noise = draw(4000, 1), draw(4000, 2, seed=1)
    features = torch.cat([cause, cause + noise[:, :1]], dim=1)
    plain, partial = correlate(cause + noise[:, 1:], features)
    assert plain[0, 1] > 0.4
    assert abs(partial[0, 1]) < 0.05
    assert partial[0, 0] > 0.5


@pytest.mark.parametrize("value", [0.0, 0.1, torch.nan, torch.inf])
def test_constant_or_broken_unit_is_undefined_and_harms_no_other(value):
    units, features = draw(20, 3), draw(20, 2, seed=1)
    expected = correlate(units, features)
    units[:, 1] = value
    for found, before in zip(correlate(units, features), expected, strict=True):
        assert found[1].isnan().all()
        np.testing.assert_allclose(found[[0, 2]], before[[0, 2]], atol=1e-15)


def test_one_broken_sample_makes_a_unit_undefined():
    units, features = draw(20, 2), draw(20, 2, seed=1)
    units[3, 0] = torch.inf
    for found in correlate(units, features):
        assert found.isnan().tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_beyond_the_range_of_squares_is_undefined(scale):
    units, features = draw(20, 2), draw(20, 2, seed=1)
    units[:, 0] *= scale
    features[:, 1] *= scale
    for found in correlate(units, features):
        assert found.isnan().tolist() == [[True, True], [False, True]]


def alternate(*values):
    return torch.tensor(values, dtype=torch.float64).repeat(20 // len(values))


@pytest.mark.parametrize("value", [0.0, 0.1, torch.nan, alternate(0.3, 0.1 + 0.2)])
def test_constant_or_broken_feature_is_undefined_and_not_controlled_for(value):
    units, features = draw(20, 4), draw(20, 3, seed=1)
    expected = correlate(units, features[:, [0, 2]])
    features[:, 1] = value
    for found, without in zip(correlate(units, features), expected, strict=True):
        assert found[:, 1].isnan().all()
        np.testing.assert_allclose(found[:, [0, 2]], without, atol=1e-13)


def test_features_that_determine_each_other_have_no_partial_but_control_as_one():
    units, features = draw(50, 4), draw(50, 2, seed=1)
    expected = reference.partial_correlation(units.numpy(), features.numpy())
    doubled = torch.cat([features, 3 - 2 * features[:, :1]], dim=1)
    plain, partial = correlate(units, doubled)
    assert not plain.isnan().any()
    assert partial[:, [0, 2]].isnan().all()
    np.testing.assert_allclose(partial[:, 1], np.array(expected)[:, 1], atol=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_sum_of_two_features_leaves_none_a_partial(seed):
    features = draw(50, 2, seed=seed)
    combined = torch.cat([features, features @ draw(2, 1, seed=seed + 100)], dim=1)
    plain, partial = correlate(draw(50, 4, seed=seed + 200), combined)
    assert not plain.isnan().any()
    assert partial.isnan().all()


@pytest.mark.parametrize("seed", range(5))
def test_features_that_are_nearly_one_cannot_carry_a_partial_beyond_one(seed):
    features = draw(50, 1, seed=seed) + 1e-4 * draw(50, 3, seed=seed + 100)
    partial = correlate(features @ draw(3, 20, seed=seed + 200), features)[1]
    assert (~partial.isnan()).sum() >= 50
    assert (partial.isnan() | (partial.abs() <= 1 + 1e-12)).all()


def test_unit_that_the_others_determine_has_no_partial():
    features = draw(50, 3)
    units = features[:, :1] + 2 * features[:, 1:2]
    partial = correlate(units, features)[1]
    assert partial.isnan().tolist() == [[False, False, True]]
    rounded = correlate((1000 + units).float(), features, 4 * torch.finfo(torch.float32).eps)[1]
    assert rounded.isnan().tolist() == [[False, False, True]]


def test_two_samples_of_two_features():
    plain, partial = correlate(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0, 5.0], [2.0, 3.0]]))
    np.testing.assert_allclose(plain, [[1, -1]])
    assert partial.isnan().all()


def test_one_sample_says_nothing():
    for found in correlate(draw(1, 3), draw(1, 2, seed=1)):
        assert found.isnan().all()


@pytest.mark.parametrize("scale", [1e-100, 1e-38, 1e100])
def test_any_magnitude(scale):
    units, features = draw(30, 2), draw(30, 2, seed=1)
    for found, expected in zip(correlate(scale * units, features), correlate(units, features), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-13)


def test_weighted_mean_agrees_with_a_loop():
    values, weights = draw(6, 3), draw(6, seed=1).abs()
    expected = reference.weighted_mean(values.tolist(), weights.tolist())
    np.testing.assert_allclose(compute_weighted_mean(values, weights), expected, atol=1e-14)


def test_weighted_mean_leaves_out_what_is_undefined():
    values = torch.tensor([[1.0, torch.nan], [torch.nan, torch.nan], [3.0, torch.nan]])
    found = compute_weighted_mean(values, torch.tensor([1.0, torch.inf, 1.0]))
    assert found.isnan().tolist() == [False, True]
    assert found[0] == 2


def test_best_feature_is_the_first_of_equal_ones():
    nan = torch.nan
    correlation = [[0.2, -0.5, 0.5], [nan, 0.1, 0.0], [nan, nan, nan], [0.3, 0.3 + 1e-15, 0.1], [0.0, nan, 0.0]]
    assert find_best_feature(torch.tensor(correlation, dtype=torch.float64)).tolist() == [1, 1, -1, 0, 0]
