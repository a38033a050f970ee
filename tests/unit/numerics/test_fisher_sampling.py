import pytest
import torch

from grokprobe.errors import UsageError
from grokprobe.numerics.fisher import compute_fisher_diagonal
from grokprobe.numerics.fisher_gram import compute_fisher_gram
from grokprobe.numerics.fisher_sampling import (
    LabelDraws,
    compute_sampled_fisher_diagonal,
    compute_sampled_fisher_gram,
)
from grokprobe.numerics.output_fisher import exact_fisher
from unit.numerics.fisher_networks import Case


def draws(likelihood="categorical", num_draws=64, seed=0):
    return LabelDraws(likelihood=likelihood, num_draws=num_draws, generator=torch.Generator().manual_seed(seed))


def deviations(estimates, exact):
    """Deviation of every entry in units of its standard error, where labels matter at all."""
    found = []
    for name, estimate in estimates.items():
        moves = estimate.standard_error > 0
        found.append(((estimate.mean - exact[name]) / estimate.standard_error)[moves])
    return torch.cat(found)


@pytest.mark.parametrize("likelihood", ["categorical", "gaussian"])
def test_diagonal_is_off_by_its_standard_error(likelihood):
    case = Case("cnn", num_samples=16)
    exact = compute_fisher_diagonal(case.network, case.parameters, case.inputs, exact_fisher(likelihood))
    estimates = compute_sampled_fisher_diagonal(case.network, case.parameters, case.inputs, draws(likelihood, 100))
    off = deviations(estimates, exact)
    assert len(off) > 50
    assert 0.6 < off.square().mean().sqrt().item() < 1.6


@pytest.mark.parametrize("likelihood", ["categorical", "gaussian"])
def test_error_of_the_gram_falls_as_one_over_the_root_of_the_draws(likelihood):
    case = Case("mlp", num_samples=8)
    tangents = case.draw_tangents(2)
    exact = compute_fisher_gram(case.network, case.parameters, tangents, case.inputs, exact_fisher(likelihood))

    def error(num_draws):
        found = [
            compute_sampled_fisher_gram(
                case.network, case.parameters, tangents, case.inputs, draws(likelihood, num_draws, seed)
            ).mean
            for seed in range(24)
        ]
        return (torch.stack(found) - exact).square().mean().sqrt().item()

    assert error(16) / error(256) == pytest.approx(4, rel=0.3)


def test_standard_error_of_the_gram_says_how_far_it_is_off():
    case = Case("mlp", num_samples=8)
    given = (case.network, case.parameters, case.draw_tangents(2), case.inputs)
    exact = compute_fisher_gram(*given, exact_fisher("categorical"))
    estimates = [compute_sampled_fisher_gram(*given, draws(seed=seed)) for seed in range(24)]
    off = torch.stack([(estimate.mean - exact) / estimate.standard_error for estimate in estimates])
    assert 0.7 < off.square().mean().sqrt().item() < 1.4


def test_labels_do_not_depend_on_the_batches(monkeypatch):
    case = Case("mlp", num_samples=6)
    given = (case.network, case.parameters, case.draw_tangents(2), case.inputs)
    whole = compute_sampled_fisher_gram(*given, draws(num_draws=5))
    monkeypatch.setattr("grokprobe.numerics.fisher_gram.GRAM_BATCH", 4)
    parts = compute_sampled_fisher_gram(*given, draws(num_draws=5))
    torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(parts.standard_error, whole.standard_error, rtol=1e-9, atol=0)


def test_gram_and_diagonal_draw_the_same_labels():
    case = Case("mlp")
    name, size = "net.2.bias", 5
    tangents = [{name: row} for row in torch.eye(size, dtype=torch.float64)]
    gram = compute_sampled_fisher_gram(case.network, case.parameters, tangents, case.inputs, draws(num_draws=9))
    diagonal = compute_sampled_fisher_diagonal(case.network, case.parameters, case.inputs, draws(num_draws=9))[name]
    torch.testing.assert_close(gram.mean.diagonal(), diagonal.mean)
    torch.testing.assert_close(gram.standard_error.diagonal(), diagonal.standard_error)


def test_a_single_draw_has_no_standard_error():
    case = Case("mlp")
    estimate = compute_sampled_fisher_gram(
        case.network, case.parameters, case.draw_tangents(1), case.inputs, draws(num_draws=1)
    )
    assert estimate.mean.isfinite().all()
    assert estimate.standard_error.isnan().all()


@pytest.mark.parametrize(("num_samples", "num_draws"), [(0, 4), (3, 0)])
def test_nothing_to_draw_is_refused(num_samples, num_draws):
    case = Case("mlp")
    inputs = case.inputs[:num_samples]
    with pytest.raises(UsageError, match=f"found {num_samples} and {num_draws}"):
        compute_sampled_fisher_diagonal(case.network, case.parameters, inputs, draws(num_draws=num_draws))
