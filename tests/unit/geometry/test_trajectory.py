import math
import pickle

import numpy as np
import pytest
import torch

from grokprobe.derive.paths import derive_path
from grokprobe.errors import VariableError
from grokprobe.geometry.trajectory import PATH_VERSION, Trajectory
from grokprobe.geometry.trajectory_options import TrajectoryOptions
from grokprobe.interfaces import Requirement, Subject
from grokprobe.testing import FixedContext, check_probe
from reference import paths as reference
from unit.geometry.made_paths import SIZE, MatrixMetric, as_parameters, measure_path, random_matrix, random_points
from unit.testing.miniature import EuclideanMetric

SKEW = MatrixMetric(random_matrix(1))
CURVED = MatrixMetric(random_matrix(1), is_flat=False)
#: Metrics in which a path is measured, by name.
METRICS = {"euclidean": EuclideanMetric(), "skew": SKEW, "curved": CURVED}
ANGLES = ("step_cosine", "origin_cosine", "turning_angle")


def matrix_at(point):
    return (random_matrix(1) * point[0] ** 2).tolist()


def line(count):
    start, direction = random_points(2)
    return [start + place * direction for place in range(count)]


def circle(count):
    """The unit circle about the origin in ``count`` steps around, the last point being the first again."""
    angles = [2 * math.pi * place / count for place in range(count + 1)]
    return [[math.cos(angle), math.sin(angle), 0, 0, 0, 0] for angle in angles]


def test_agrees_with_loops_in_a_metric_that_varies():
    points = random_points(4).float().double()
    path = measure_path(points, CURVED, chord_points=3)
    p = points.tolist()
    steps = [reference.difference(p[i + 1], p[i]) for i in range(3)]
    for i in range(3):
        here, origin = matrix_at(p[i]), [-x for x in p[i]]
        np.testing.assert_allclose(path.step_norm[i], reference.norm(steps[i], here), rtol=1e-6)
        np.testing.assert_allclose(path.origin_cosine[i], reference.cosine(steps[i], origin, here), atol=1e-6)
        if i:
            expected = reference.cosine(steps[i - 1], steps[i], here)
            np.testing.assert_allclose(path.step_cosine[i], expected, atol=1e-6)
            np.testing.assert_allclose(path.turning_angle[i], math.acos(expected), atol=1e-5)
    chords = [reference.chord(p[0], p[i], 3, matrix_at) for i in range(1, 4)]
    np.testing.assert_allclose(path.chord_norm, [0, *chords], rtol=1e-5)


@pytest.mark.parametrize("name", METRICS)
def test_a_straight_line_does_not_turn_in_any_metric(name):
    path = measure_path(line(5), METRICS[name])
    np.testing.assert_allclose(path.step_cosine[1:-1], 1, atol=1e-6)
    assert (path.turning_angle[1:-1] < 2e-3).all()


@pytest.mark.parametrize("name", ["euclidean", "skew"])
def test_a_straight_line_is_its_own_chord_in_a_constant_metric(name):
    derived = derive_path(measure_path(line(5), METRICS[name]))
    np.testing.assert_allclose(derived.straightness[1:], 1, rtol=1e-6)


def test_chord_and_path_have_one_rule():
    points = line(6)
    path = measure_path(points, CURVED, chord_points=5)  # as many pieces as the path has steps
    derived = derive_path(path)
    np.testing.assert_allclose(derived.straightness[-1], 1, rtol=1e-5)
    assert abs(derived.straightness[2] - 1) > 1e-3  # otherwise it is measured at other places


def test_a_circle_turns_by_the_same_angle_everywhere():
    path = measure_path(circle(12))
    derived = derive_path(path)
    np.testing.assert_allclose(path.turning_angle[1:-1], 2 * math.pi / 12, rtol=1e-5)
    np.testing.assert_allclose(derived.path_length[-1], 12 * 2 * math.sin(math.pi / 12), rtol=1e-6)
    np.testing.assert_allclose(derived.straightness[6], 2 / (6 * 2 * math.sin(math.pi / 12)), rtol=1e-6)  # half-way
    assert abs(derived.straightness[-1]) < 1e-6
    np.testing.assert_allclose(path.origin_cosine[:-1], math.sin(math.pi / 12), rtol=1e-4)


def test_shrinking_goes_to_the_origin_and_growing_away():
    (start,) = random_points(1)
    shrinking = measure_path([start * 0.5**place for place in range(4)], SKEW)
    np.testing.assert_allclose(shrinking.origin_cosine[:-1], 1, atol=1e-6)
    growing = measure_path([start * 1.5**place for place in range(4)], SKEW)
    np.testing.assert_allclose(growing.origin_cosine[:-1], -1, atol=1e-6)


def test_undefined_at_the_ends_of_the_run_and_nowhere_else():
    path = measure_path(random_points(5), epochs=[0, 1, 5, 6, 9])
    undefined = {name: np.flatnonzero(np.isnan(path[name])).tolist() for name in path.data_vars}
    assert undefined == {
        "step_norm": [4],
        "step_cosine": [0, 4],
        "turning_angle": [0, 4],
        "origin_cosine": [4],
        "step_epochs": [4],
        "chord_epochs": [],
        "chord_norm": [],
    }
    assert path.step_epochs[:-1].to_numpy().tolist() == [1, 4, 1, 3]
    assert path.chord_epochs.to_numpy().tolist() == [0, 1, 5, 6, 9]


def test_a_single_checkpoint_is_a_path_without_steps():
    path = measure_path(random_points(1))
    assert path.chord_norm.item() == path.chord_epochs.item() == 0
    assert all(np.isnan(path[name].item()) for name in ("step_norm", *ANGLES))
    assert derive_path(path).path_length.item() == 0


def test_a_stride_joins_checkpoints_further_apart():
    points = random_points(7)
    path = measure_path(points, SKEW, stride=3)
    coarse = measure_path(points[::3], SKEW, epochs=[0, 3, 6])
    for name in coarse.data_vars:
        np.testing.assert_array_equal(path[name].sel(epoch=[0, 3, 6]), coarse[name], err_msg=name)
    assert np.isnan(path.step_norm[4:]).all()
    derived = derive_path(path)
    assert np.isfinite(derived.path_length).to_numpy().tolist() == [True, False, False, True, False, False, True]


def test_a_step_of_rounding_has_a_norm_and_no_direction():
    (point,) = random_points(1)
    path = measure_path([point * factor for factor in (1, 1 + 2**-24, 1 + 2**-24, 1.01, 1.03)])
    assert path.step_norm[1] == 0
    assert np.isfinite(path.step_norm[:-1]).all()
    assert np.isfinite(path.origin_cosine).to_numpy().tolist() == [False, False, True, True, False]
    for name in ("step_cosine", "turning_angle"):
        assert np.isfinite(path[name]).to_numpy().tolist() == [False, False, False, True, False]


def test_a_chord_can_be_left_out():
    path = measure_path(random_points(3), chord_points=0)
    assert "chord_norm" not in path
    assert "straightness" not in derive_path(path)


def test_tensors_that_never_change_are_no_part_of_the_path():
    points = random_points(4)
    with_buffer = [as_parameters(point) | {"bias": torch.full((2,), 100.0)} for point in points]
    path = measure_path(with_buffer, constant=["bias"])
    without = measure_path([as_parameters([*point[:4], 0, 0]) for point in points])
    for name in path.data_vars:
        np.testing.assert_allclose(path[name], without[name], rtol=1e-6, err_msg=name)


def test_error_of_the_diagonal_approximation():
    points = random_points(5)
    diagonal = MatrixMetric(random_matrix(1).diagonal().diag())
    both = measure_path(points, SKEW, diagonal=diagonal)
    exact, approximate = measure_path(points, SKEW), measure_path(points, diagonal)
    np.testing.assert_allclose(both.diagonal_error_norm, approximate.step_norm / exact.step_norm - 1, rtol=1e-12)
    for error, cosine in (("diagonal_error_cosine", "step_cosine"), ("diagonal_error_origin_cosine", "origin_cosine")):
        np.testing.assert_allclose(both[error], approximate[cosine] - exact[cosine], rtol=1e-12, err_msg=error)
        assert abs(both[error][1]) > 0.01
    assert "diagonal_error_norm" not in measure_path(points, SKEW, diagonal=diagonal, diagonal_error=False)


def test_keeps_the_laws_of_a_probe():
    here, before, after, first = (as_parameters(point) for point in random_points(4))
    context = FixedContext(parameters=here, previous=before, next=after, first=first, epoch=5)
    measurement = check_probe(Trajectory(SKEW, EuclideanMetric()), context)
    assert measurement.values["step_epochs"] == 1


def test_needs_follow_from_the_options():
    trajectory = Trajectory(EuclideanMetric())
    path = {Requirement.WEIGHTS, Requirement.NEIGHBOURS, Requirement.INITIAL}
    data = {Requirement.MODEL, Requirement.TRAIN_SPLIT}
    for options, needs in (
        ({}, path),
        ({"divergence": True}, path | data),
        ({"subspaces": True}, path | data | {Requirement.FINAL}),
    ):
        assert trajectory.requirements(TrajectoryOptions(**options)) == needs
    assert trajectory.reach(TrajectoryOptions(stride=4)) == 4
    assert trajectory.variants["stiff"] == {"subspaces": True}


def test_the_version_is_that_of_everything_the_numbers_follow_from():
    alone, with_diagonal = Trajectory(EuclideanMetric()), Trajectory(EuclideanMetric(), SKEW)
    assert alone.version == f"{EuclideanMetric().version}+path.{PATH_VERSION}"
    assert with_diagonal.version == f"{alone.version}+diagonal.{SKEW.version}"


def test_without_a_task_there_is_no_divergence():
    subject = Subject(task=None, shapes={}, constant=frozenset(), available=frozenset())
    assert Trajectory(SKEW).applies(subject, TrajectoryOptions(divergence=True)).reason
    assert not Trajectory(SKEW).applies(subject, TrajectoryOptions()).reason


class Biased(MatrixMetric):
    """Products of different tangents are too large."""

    def gram(self, context, tangents):
        gram = super().gram(context, tangents)
        return gram + 100 * gram.max() * (1 - torch.eye(len(gram)))


@pytest.mark.parametrize(
    ("metric", "fault"), [(MatrixMetric, "itself: expected at least 0"), (Biased, "expected at most 1")]
)
def test_what_is_no_metric_is_refused(metric, fault):
    sign = -1 if metric is MatrixMetric else 1
    with pytest.raises(VariableError, match=fault):
        measure_path(random_points(3), metric(sign * torch.eye(SIZE)))


def test_goes_to_other_processes():
    path = Trajectory(EuclideanMetric(), SKEW)
    received, options = pickle.loads(pickle.dumps((path, path.options(stride=3))))  # noqa: S301 - our own
    assert isinstance(options, received.options)
    assert received.variables(options) == path.variables(path.options(stride=3))
