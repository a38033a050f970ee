import copy
import dataclasses

import numpy as np
import pytest
import torch

from grokprobe.errors import UsageError
from grokprobe.geometry import stiff_split
from grokprobe.geometry.fisher import FisherMetric
from grokprobe.geometry.stiff_split import StiffSplits
from grokprobe.geometry.trajectory_options import TrajectoryOptions
from grokprobe.interfaces import Samples
from grokprobe.testing import FixedContext
from unit.geometry.made_paths import MatrixMetric, as_parameters, measure_path, random_matrix, random_points
from unit.testing.miniature import Doubling, EuclideanMetric

#: Mean squares 2 and 0.02 of the two inputs.
SAMPLES = Samples(inputs=torch.tensor([[2.0, 0.0], [0.0, 0.2]]), targets=torch.tensor([0, 1]))


class Squares(torch.nn.Module):
    """f = ½ w² x + b, whose regression diagonal is w_kj² E[x_j²] for weights and 1 for biases."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.zeros(2))

    def forward(self, inputs):
        return inputs @ (self.weight**2 / 2).T + self.bias


#: The last checkpoint makes weight[0, 0] and weight[1, 1] large: entries 2, 0, 0, 2 and, of the biases, 1, 1.
FINAL = [1.0, 0.0, 0.0, 10.0, 0.3, 0.3]


def split_path(metric=None, points=None, **options):
    points = [*random_points(4).tolist(), FINAL] if points is None else points
    return measure_path(points, metric, model=Squares(), samples=SAMPLES, subspaces=True, **options)


def test_the_last_checkpoint_says_what_is_stiff():
    path = split_path()
    assert (path.stiff_fraction == 4 / 6).all()
    points = np.array([*random_points(4).tolist(), FINAL])
    stiff = [0, 3, 4, 5]
    steps = np.diff(points, axis=0)
    np.testing.assert_allclose(path.step_norm_stiff[:-1], np.linalg.norm(steps[:, stiff], axis=1), rtol=1e-6)
    np.testing.assert_allclose(path.step_norm_sloppy[:-1], np.linalg.norm(steps[:, [1, 2]], axis=1), rtol=1e-6)
    origin = -points[1][stiff]
    expected = steps[1][stiff] @ origin / np.linalg.norm(steps[1][stiff]) / np.linalg.norm(origin)
    np.testing.assert_allclose(path.origin_cosine_stiff[1], expected, atol=1e-6)


@pytest.mark.parametrize("basis", ["parameters", "eigenvectors"])
def test_squares_of_both_parts_add_up_in_the_euclidean_metric(basis):
    path = split_path(stiff_basis=basis)
    total = path.step_norm_stiff**2 + path.step_norm_sloppy**2
    np.testing.assert_allclose(total, path.step_norm**2, rtol=1e-6)


def test_they_do_not_in_a_metric_with_cross_terms():
    path = split_path(MatrixMetric(random_matrix(1)))
    total = path.step_norm_stiff**2 + path.step_norm_sloppy**2
    assert (abs(total / path.step_norm**2 - 1)[:-1] > 1e-3).all()


def test_what_is_measured_of_the_whole_does_not_depend_on_the_split():
    points = [*random_points(4).tolist(), FINAL]
    metric = MatrixMetric(random_matrix(1))
    plain = measure_path(points, metric)
    split = split_path(metric, points)
    for name in plain.data_vars:
        np.testing.assert_allclose(split[name], plain[name], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("options", "fraction"),
    [
        ({"stiff_threshold": 1.5}, 2 / 6),
        ({"stiff_threshold": 1e-3, "stiff_rule": "relative"}, 4 / 6),
        ({"stiff_threshold": 0.9, "stiff_rule": "relative"}, 2 / 6),
        ({"stiff_rule": "gap"}, 2 / 6),  # 2, 2, 1, 1: the zeros are no part of the spectrum
        ({"stiff_threshold": 0.9}, 4 / 6),
        ({"stiff_basis": "eigenvectors", "stiff_threshold": 0.9}, 2 / 6),  # eigenvalues 1.5 ± sqrt(1.25), twice
        ({"stiff_basis": "eigenvectors", "stiff_threshold": 5.0}, 0),
    ],
)
def test_other_splits(options, fraction):
    assert split_path(**options).stiff_fraction[0] == pytest.approx(fraction)


def test_sensitivity_to_the_threshold():
    path = split_path(thresholds=(0.5, 1.5, 5.0))
    np.testing.assert_allclose(path.stiff_fraction_at[0], [4 / 6, 2 / 6, 0])
    np.testing.assert_allclose(path.step_norm_stiff_at[1, 0], path.step_norm_stiff[1], rtol=1e-12)
    assert (np.diff(path.step_norm_stiff_at[:-1]) < 0).all()
    assert (path.step_norm_stiff_at[:-1, 2] == 0).all()
    assert np.isnan(path.step_norm_stiff_at[-1]).all()
    relative = split_path(thresholds=(0.4, 0.9), stiff_rule="relative")
    np.testing.assert_allclose(relative.stiff_fraction_at[0], [4 / 6, 2 / 6])


def test_an_empty_subspace_has_no_direction():
    path = split_path(stiff_threshold=5.0)
    assert (path.step_norm_stiff[:-1] == 0).all()
    assert np.isnan(path.step_cosine_stiff).all()
    np.testing.assert_allclose(path.step_cosine_sloppy[1:-1], path.step_cosine[1:-1], rtol=1e-12)


def test_rounding_in_a_subspace_is_that_of_its_own_parameters():
    far = [[1e6, 0.5 + 1e-3 * place, 0.5 - 1e-3 * place, 10.0, 0.3, 0.3] for place in range(3)]
    path = split_path(points=[*far, FINAL])  # the sloppy steps are below the rounding of the stiff weight, 0.12
    assert np.isnan(path.step_cosine[1])
    assert path.step_cosine_sloppy[1] == pytest.approx(1, abs=1e-4)


def test_the_split_is_computed_once_for_a_run(monkeypatch):
    calls = []
    real = stiff_split.compute_fisher_diagonal

    def counting(*arguments, **options):
        calls.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(stiff_split, "compute_fisher_diagonal", counting)
    points = [as_parameters(point) for point in [*random_points(4).tolist(), FINAL]]
    split_path(points=points)
    assert len(calls) == 1


@pytest.mark.parametrize("changed", ["final", "samples", "basis"])
def test_another_run_has_a_split_of_its_own(changed):
    """One measure goes from run to run, and what it remembers is of one of them."""
    splits = StiffSplits()
    final = as_parameters(FINAL)
    others = {
        "final": {"last": as_parameters([1.0, 0.0, 0.0, 0.0, 0.3, 0.3])},
        "samples": {"train_samples": Samples(inputs=10 * SAMPLES.inputs, targets=SAMPLES.targets)},
        "basis": {"options": TrajectoryOptions(stiff_basis="eigenvectors")},
    }
    first = FixedContext(
        parameters=final, last=final, model=Squares(), train_samples=SAMPLES, options=TrajectoryOptions()
    )
    second = dataclasses.replace(first, **others[changed])
    found, other = splits.find(first), splits.find(second)
    assert not torch.equal(found.stiffness, other.stiffness)
    assert torch.equal(other.stiffness, StiffSplits().find(second).stiffness)
    assert torch.equal(splits.find(first).stiffness, found.stiffness)


def test_a_copy_remembers_nothing():
    splits = StiffSplits()
    splits._known = ((1,), None)  # what is remembered holds tensors, which do not travel
    assert copy.deepcopy(splits)._known is None  # it takes the way of pickle


def test_without_training_samples_there_is_no_split():
    empty = Samples(inputs=torch.empty(0, 2), targets=torch.empty(0))
    with pytest.raises(UsageError, match="at least one training sample"):
        measure_path(random_points(3), model=Squares(), samples=empty, subspaces=True)


def divergence_path(metric, size):
    start, direction = random_points(2)
    points = [start + size * place * direction for place in range(3)]
    given = {"model": Squares(), "samples": SAMPLES, "task": Doubling(), "divergence": True}
    return measure_path(points, metric, **given)


def test_divergence_is_half_the_squared_norm_of_a_short_step_in_the_exact_metric():
    errors = []
    for size in (0.1, 0.01):
        path = divergence_path(FisherMetric(), size)
        np.testing.assert_array_equal(path.step_kl_quadratic, path.step_norm**2 / 2)
        errors.append(abs(path.step_kl_quadratic / path.step_kl - 1)[:-1].max().item())
    assert errors[0] < 0.5
    assert errors[1] < errors[0] / 5  # of third order in the step
    assert np.isnan(path.step_kl[-1])


def test_divergence_is_from_the_start_of_the_step_to_its_end():
    points = random_points(2)
    given = {"model": Squares(), "samples": SAMPLES, "task": Doubling(), "divergence": True}
    found = measure_path(points, EuclideanMetric(), **given).step_kl[0].item()
    start, end = (
        torch.func.functional_call(Squares(), as_parameters(point), (SAMPLES.inputs,)).double().log_softmax(dim=1)
        for point in points
    )
    there, back = ((one.exp() * (one - other)).sum(dim=1).mean().item() for one, other in ((start, end), (end, start)))
    assert found == pytest.approx(there, rel=1e-6)
    assert there != pytest.approx(back, rel=1e-2)


def test_divergence_does_not_depend_on_the_metric():
    exact, plain = (divergence_path(metric, 0.1) for metric in (FisherMetric(), EuclideanMetric()))
    np.testing.assert_array_equal(exact.step_kl, plain.step_kl)
    assert not np.allclose(exact.step_kl_quadratic[:-1], plain.step_kl_quadratic[:-1])
