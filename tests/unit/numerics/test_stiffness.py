import math

import pytest
import torch

from grokprobe.numerics.stiffness import compute_stiff_threshold

VALUES = torch.tensor([[0.0, 8.0], [1e-9, 0.5]]), torch.tensor([[4.0, 0.25], [3.0, 1e-12]])
DIAGONAL = torch.cat(VALUES)


@pytest.mark.parametrize(
    ("rule", "threshold", "expected"),
    [
        ("absolute", 0.1, [8, 4, 3, 0.5, 0.25]),
        ("absolute", 8.0, [8]),
        ("absolute", 9.0, []),
        ("relative", 0.5, [8, 4]),
        ("relative", 1e-9, [8, 4, 3, 0.5, 0.25]),
        ("gap", 0.1, [8, 4, 3]),  # 3 to 0.5; the tail is out of range
    ],
)
def test_rules(rule, threshold, expected):
    found = DIAGONAL[compute_stiff_threshold(DIAGONAL, rule, threshold) <= DIAGONAL]
    assert sorted(found.tolist(), reverse=True) == expected


@pytest.mark.parametrize("values", [torch.zeros(3), torch.empty(0)])
@pytest.mark.parametrize("rule", ["absolute", "relative", "gap"])
def test_where_nothing_responds_nothing_is_stiff(rule, values):
    assert compute_stiff_threshold(values, rule, 1e-3) == math.inf


def test_a_single_value_has_no_gap():
    assert compute_stiff_threshold(torch.tensor([3.0, 0.0]), "gap", 0.1) == math.inf
