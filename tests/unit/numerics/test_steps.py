import math

import pytest
import torch

from grokprobe.numerics.steps import compute_cosines, compute_decile_changes
from reference import steps as reference


def draw(num_values, seed):
    return torch.randn(num_values, generator=torch.Generator().manual_seed(seed))


def test_cosines_agree_with_loops_part_by_part_and_as_a_whole():
    left, right = [draw(6, 0), draw(3, 1)], [draw(6, 2), draw(3, 3)]
    cosines = compute_cosines([left[0].reshape(2, 3), left[1]], [right[0].reshape(2, 3), right[1]])
    expected = [reference.cosine(u.tolist(), v.tolist()) for u, v in zip(left, right, strict=True)]
    assert cosines.parts.tolist() == pytest.approx(expected)
    whole = reference.cosine(torch.cat(left).tolist(), torch.cat(right).tolist())
    assert cosines.whole.item() == pytest.approx(whole)


def test_parallel_opposite_and_orthogonal():
    vector = [torch.tensor([3.0, 4.0])]
    others = [[torch.tensor([6.0, 8.0])], [torch.tensor([-3.0, -4.0])], [torch.tensor([-4.0, 3.0])]]
    assert [compute_cosines(vector, other).whole.item() for other in others] == pytest.approx([1, -1, 0])


def test_zero_rounding_and_infinite_parts_have_no_direction():
    left = [torch.tensor([0.0]), torch.tensor([0.5]), torch.tensor([math.inf]), torch.tensor([2.0])]
    right = [torch.tensor([1.0])] * 4
    cosines = compute_cosines(left, right, rounding=[0.0, 0.5, 0.0, 0.0])
    assert cosines.parts.isnan().tolist() == [True, True, True, False]
    assert cosines.whole.isnan()
    assert compute_cosines([torch.tensor([3.0, 4.0])], [torch.ones(2)], rounding=[5.0]).whole.isnan()
    assert not compute_cosines([torch.tensor([3.0, 4.0])], [torch.tensor([6.0, 8.0])], rounding=[4.9]).whole.isnan()


def test_rounding_of_the_whole_is_that_of_its_parts_as_one_vector():
    parts = [torch.tensor([3.0]), torch.tensor([4.0])]  # of norm 5
    assert not compute_cosines(parts, parts, rounding=[2.9, 3.9]).whole.isnan()  # of norm 4.86, and of sum 6.8
    assert compute_cosines(parts, parts, rounding=[0.0, 5.1]).whole.isnan()


@pytest.mark.parametrize("relative", ["decile", "weight"])
@pytest.mark.parametrize("num_weights", [10, 11, 47])
def test_decile_changes_agree_with_loops(relative, num_weights):
    weights, previous = draw(num_weights, 4), draw(num_weights, 5)
    changes = compute_decile_changes(weights, previous, relative)
    expected = reference.decile_changes(weights.double().tolist(), previous.double().tolist(), relative)
    assert changes.tolist() == pytest.approx(expected)


def test_deciles_tell_small_weights_from_large_ones():
    previous = torch.arange(1.0, 101.0).double()
    grown = previous.clone()
    grown[90:] *= 1.5
    changes = compute_decile_changes(grown, previous)
    assert changes.tolist() == pytest.approx([0] * 9 + [0.5])


def test_signs_cancel_only_in_the_authors_form():
    weights = torch.tensor([1.0, -1.0]).repeat(10)
    assert compute_decile_changes(1.5 * weights, weights, "weight").tolist() == pytest.approx([0] * 10)
    assert compute_decile_changes(1.5 * weights, weights, "decile").tolist() == pytest.approx([0.5] * 10)


def test_deciles_without_weights_or_without_previous_size_are_undefined():
    few = compute_decile_changes(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 3.0]))
    assert few.isnan().sum() == 7
    new = torch.arange(1.0, 11.0)
    assert compute_decile_changes(new, torch.zeros(10)).isnan().all()
    assert compute_decile_changes(new, torch.zeros(10), "weight").isfinite().all()
    assert compute_decile_changes(torch.zeros(0), torch.zeros(0)).isnan().all()


def test_a_weight_that_is_not_finite_spoils_its_own_decile():
    weights = torch.arange(1.0, 11.0)
    previous = weights.clone()
    previous[4] = math.inf
    assert compute_decile_changes(weights, previous).isnan().tolist() == [place == 4 for place in range(10)]
