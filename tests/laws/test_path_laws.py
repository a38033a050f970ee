import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokprobe.derive.paths import derive_path
from grokprobe.numerics.turning_points import find_longest_rise
from unit.geometry.made_paths import MatrixMetric, measure_path, random_matrix, random_points
from unit.testing.miniature import EuclideanMetric

LAW = settings(deadline=None, max_examples=15)

SEEDS = st.integers(0, 10_000)
COSINES = ("step_cosine", "origin_cosine")
METRICS = {
    "euclidean": EuclideanMetric(),
    "skew": MatrixMetric(random_matrix(1)),
    "curved": MatrixMetric(random_matrix(1), is_flat=False),
}


@pytest.mark.parametrize("name", METRICS)
@LAW
@given(seed=SEEDS, count=st.integers(2, 6))
def test_bounds_and_monotone_length(name, seed, count):
    path = measure_path(random_points(count, seed), METRICS[name], chord_points=3)
    for cosine in COSINES:  # Cauchy-Schwarz
        assert (abs(path[cosine]).fillna(0) <= 1).all()
    derived = derive_path(path)
    assert (np.diff(derived.path_length) >= 0).all()
    np.testing.assert_allclose(derived.path_length[-1], path.step_norm[:-1].sum(), rtol=1e-12)
    if name == "euclidean":
        assert (derived.straightness.fillna(0) <= 1 + 1e-6).all()


@LAW
@given(seed=SEEDS, factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_scale_of_the_parameters_scales_norms_and_leaves_angles(seed, factor):
    points = random_points(4, seed)
    path, scaled = (measure_path(factor * points if is_scaled else points, METRICS["skew"]) for is_scaled in (0, 1))
    for cosine in COSINES:
        np.testing.assert_allclose(scaled[cosine], path[cosine], atol=1e-7)
    np.testing.assert_allclose(scaled.step_norm, factor * path.step_norm, rtol=1e-6)
    np.testing.assert_allclose(derive_path(scaled).straightness, derive_path(path).straightness, rtol=1e-6)


@LAW
@given(seed=SEEDS)
def test_a_path_and_its_reverse_turn_alike(seed):
    points = random_points(5, seed)
    path, back = measure_path(points, METRICS["skew"]), measure_path(points.flip(0), METRICS["skew"])
    np.testing.assert_allclose(back.step_cosine.to_numpy()[::-1], path.step_cosine, atol=1e-6)
    np.testing.assert_allclose(back.step_norm[:-1].to_numpy()[::-1], path.step_norm[:-1], rtol=1e-6)


@LAW
@given(seed=SEEDS, factor=st.sampled_from([0.5, 8.0]), shift=st.integers(-50, 50))
def test_a_rise_does_not_depend_on_units_nor_on_when_it_starts(seed, factor, shift):
    generator = np.random.default_rng(seed)
    places, values = np.arange(40.0), np.exp(np.cumsum(generator.normal(size=40)))
    rise, other = find_longest_rise(places, values), find_longest_rise(places + shift, factor * values)
    np.testing.assert_allclose([other.start - shift, other.stop - shift], [rise.start, rise.stop], atol=1e-9)
    np.testing.assert_allclose(other.ratio, rise.ratio)
    assert other.num_crossings == rise.num_crossings
    assert not rise.ratio < 1
    assert not rise.start > rise.stop
