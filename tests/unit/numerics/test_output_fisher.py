import math

import pytest
import torch

from grokprobe.errors import UsageError
from grokprobe.numerics.output_fisher import (
    CategoricalFisher,
    IdentityFisher,
    empirical_fisher,
    exact_fisher,
    sampled_fisher,
)

ROWS = slice(2, 6)
GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(4, 5, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.tensor([0, 0, 4, 3, 2, 1])
VALUES = torch.randn(6, 5, generator=GENERATOR, dtype=torch.float64)
UNIFORM = torch.rand(6, generator=GENERATOR, dtype=torch.float64)

#: The variant, and its matrices written down for each sample.
CASES = {
    "categorical": (
        exact_fisher("categorical"),
        [torch.diag(p) - torch.outer(p, p) for p in LOGITS.softmax(dim=1)],
    ),
    "gaussian": (exact_fisher("gaussian"), [torch.eye(5, dtype=torch.float64)] * 4),
    "regression": (IdentityFisher(), [torch.eye(5, dtype=torch.float64)] * 4),
    "observed labels": (
        empirical_fisher("categorical", LABELS),
        [torch.outer(u, u) for u in torch.eye(5)[LABELS[ROWS]] - LOGITS.softmax(dim=1)],
    ),
    "observed values": (
        empirical_fisher("gaussian", VALUES),
        [torch.outer(u, u) for u in VALUES[ROWS] - LOGITS],
    ),
    "drawn values": (sampled_fisher("gaussian", VALUES), [torch.outer(u, u) for u in VALUES[ROWS]]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_form_is_that_of_the_matrix(name):
    fisher, matrices = CASES[name]
    matrix = torch.stack(matrices)
    directions = torch.stack(list(fisher.directions(LOGITS, ROWS)), dim=1)
    torch.testing.assert_close(directions.transpose(1, 2) @ directions, matrix)
    torch.testing.assert_close(fisher.diagonal(LOGITS, ROWS), matrix.diagonal(dim1=1, dim2=2))
    vectors = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    white = fisher.whiten(LOGITS, ROWS, vectors)
    torch.testing.assert_close(
        torch.einsum("asd,bsd->sab", white, white), torch.einsum("ask,skl,bsl->sab", vectors, matrix, vectors)
    )
    columns = vectors[0].T.contiguous()
    torch.testing.assert_close(
        fisher.spread(LOGITS, ROWS, columns), torch.einsum("kj,skl,lj->sj", columns, matrix, columns)
    )


def test_directions_of_a_certain_prediction_are_small_and_exact():
    for label in range(3):
        logits = torch.zeros(1, 3, dtype=torch.float64)
        logits[0, label] = 100.0
        directions = torch.stack(list(CategoricalFisher().directions(logits, ROWS)), dim=1)[0]
        diagonal = directions.square().sum(dim=0)
        expected = torch.full((3,), math.exp(-100), dtype=torch.float64)
        expected[label] = 2 * math.exp(-100)
        torch.testing.assert_close(diagonal, expected, rtol=1e-12, atol=0)
        torch.testing.assert_close(CategoricalFisher().diagonal(logits, ROWS)[0], expected, rtol=1e-12, atol=0)


def test_impossible_labels_have_no_information():
    logits = torch.tensor([[0.0, -2000.0, 0.0], [-2000.0, -2000.0, 0.0]], dtype=torch.float64)
    directions = torch.stack(list(CategoricalFisher().directions(logits, ROWS)), dim=1)
    expected = torch.tensor([[0.25, 0, 0.25], [0, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(directions.square().sum(dim=1), expected)


@pytest.mark.parametrize("name", ["categorical", "observed labels"])
def test_logits_that_are_not_finite_leave_nothing_finite(name):
    fisher, _ = CASES[name]
    logits = LOGITS.clone()
    logits[1, 2] = torch.nan
    found = [*fisher.directions(logits, ROWS), fisher.diagonal(logits, ROWS)]
    found.append(fisher.spread(logits, ROWS, torch.eye(5, dtype=torch.float64)))
    for values in found:
        assert values[1].isnan().any()
        assert values[[0, 2, 3]].isfinite().all()


def test_drawn_labels_have_the_frequencies_of_the_model():
    levels = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3], dtype=torch.float64)
    outputs = probabilities.log().clamp(min=-1000).expand(1000, 4)
    scores = next(iter(sampled_fisher("categorical", levels).directions(outputs, slice(0, 1000))))
    labels = (scores + probabilities).argmax(dim=1)
    assert torch.bincount(labels, minlength=4).tolist() == [100, 0, 600, 300]


def test_unknown_likelihood_is_named():
    with pytest.raises(UsageError, match="among categorical, gaussian, found 'poisson'"):
        exact_fisher("poisson")
