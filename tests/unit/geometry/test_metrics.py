import numpy as np
import pytest
import torch

from grokprobe import geometry
from grokprobe.errors import UsageError
from grokprobe.geometry.euclidean import EuclideanMetric
from grokprobe.geometry.fisher import FisherMetric, FisherOptions
from grokprobe.geometry.fisher_diag import FisherDiagMetric
from grokprobe.geometry.fisher_diag_regression import FisherDiagRegressionMetric, FisherDiagRegressionOptions
from grokprobe.geometry.fisher_empirical import FisherEmpiricalMetric
from grokprobe.geometry.fisher_mc import FisherMonteCarloMetric, FisherMonteCarloOptions
from grokprobe.interfaces import Likelihood, Requirement, Samples, Subject
from grokprobe.testing import FixedContext, check_metric
from reference import fisher as reference
from unit.foreign_network import HIDDEN, TASK, P, build_network
from unit.testing.miniature import Doubling

METRICS = {metric.name: metric for metric in geometry.grokprobe_metrics()}
FISHERS = sorted(set(METRICS) - {"euclidean"})


class GaussianTask(Doubling):
    likelihood = Likelihood.GAUSSIAN


def draw_pairs(num_samples, seed):
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randint(0, P, (num_samples, 2), generator=generator)
    inputs = torch.zeros(num_samples, 2 * P)
    inputs.scatter_(1, pairs + torch.tensor([0, P]), 1.0)
    return Samples(inputs=inputs, targets=pairs.sum(dim=1) % P)


TRAIN, TEST = draw_pairs(12, 0), draw_pairs(9, 1)


def build_context(**given):
    model = build_network(0)
    parameters = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    chosen = {"task": TASK, "model": model, "train_samples": TRAIN, "test_samples": TEST}
    return FixedContext(**({"parameters": parameters} | chosen | given))


def draw_tangents(parameters, count=3):
    generator = torch.Generator().manual_seed(5)
    return [
        {name: torch.randn(tensor.shape, generator=generator) for name, tensor in parameters.items()}
        for _ in range(count)
    ]


def gram_of(name, context, tangents, **options):
    metric = METRICS[name]
    return metric.gram(context.with_options(metric.options(**options)), tangents)


def dense_matrix(name, samples):
    """The metric's matrix in float64."""
    model = build_network(0).double()
    parameters = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    given = (
        lambda own, inputs: torch.func.functional_call(model, dict(own), (inputs,)),
        parameters,
        samples.inputs.double(),
    )
    if name == "euclidean":
        return torch.eye(sum(tensor.numel() for tensor in parameters.values()), dtype=torch.float64)
    if name == "fisher_empirical":
        return reference.empirical_matrix(*given, samples.targets)
    if name == "fisher_diag_regression":
        return torch.diag(reference.regression_matrix(*given).diagonal())
    matrix = reference.categorical_matrix(*given)
    return torch.diag(matrix.diagonal()) if name == "fisher_diag" else matrix


def dense_gram(matrix, tangents):
    vectors = torch.stack([reference.flatten(tangent) for tangent in tangents]).double()
    return vectors @ matrix @ vectors.T


def test_hook_returns_the_builtin_metrics():
    assert sorted(METRICS) == [
        "euclidean", "fisher", "fisher_diag", "fisher_diag_regression", "fisher_empirical", "fisher_mc",
    ]  # fmt: skip


@pytest.mark.parametrize("name", METRICS)
def test_metric_keeps_the_laws(name):
    check_metric(METRICS[name], build_context())


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"fisher_mc"}))
def test_metric_agrees_with_its_dense_matrix(name):
    context = build_context()
    tangents = draw_tangents(context.parameters)
    expected = dense_gram(dense_matrix(name, TRAIN), tangents)
    scale = expected.diagonal().max().item()
    torch.testing.assert_close(gram_of(name, context, tangents), expected, rtol=1e-5, atol=1e-6 * scale)


def test_drawn_labels_come_close_to_the_exact_metric():
    context = build_context()
    tangents = draw_tangents(context.parameters)
    exact = gram_of("fisher", context, tangents)
    found = gram_of("fisher_mc", context, tangents, num_draws=2000)
    assert (found - exact).abs().max() < 0.1 * exact.diagonal().max()
    assert not torch.equal(found, gram_of("fisher_mc", context, tangents, num_draws=1))


@pytest.mark.parametrize("name", FISHERS)
def test_the_mean_is_over_the_chosen_samples(name):
    context = build_context()
    tangents = draw_tangents(context.parameters)
    both = Samples(inputs=torch.cat([TRAIN.inputs, TEST.inputs]), targets=torch.cat([TRAIN.targets, TEST.targets]))
    first = Samples(inputs=TEST.inputs[:4], targets=TEST.targets[:4])
    chosen = {"test": ({"split": "test"}, TEST), "all": ({"split": "all"}, both)}
    chosen["first"] = ({"split": "test", "num_samples": 4}, first)
    for options, samples in chosen.values():
        found = gram_of(name, context, tangents, **options)
        as_training = gram_of(name, build_context(train_samples=samples), tangents)
        torch.testing.assert_close(found, as_training, rtol=1e-12, atol=0)
        assert not torch.equal(found, gram_of(name, context, tangents))


def test_labels_matter_to_the_empirical_metric_alone():
    other = build_context(train_samples=Samples(inputs=TRAIN.inputs, targets=(TRAIN.targets + 1) % P))
    tangents = draw_tangents(other.parameters)
    for name in FISHERS:
        same = torch.equal(gram_of(name, other, tangents), gram_of(name, build_context(), tangents))
        assert same is (name != "fisher_empirical"), name


def test_gaussian_likelihood_counts_the_outputs_as_they_are():
    model = torch.nn.Linear(3, 3)
    samples = Samples(inputs=torch.eye(3), targets=torch.zeros(3, 3))
    context = build_context(
        task=GaussianTask(), model=model, train_samples=samples,
        parameters={name: tensor.detach() for name, tensor in model.state_dict().items()},
    )  # fmt: skip
    tangent = {"weight": torch.zeros(3, 3), "bias": torch.tensor([1.0, 2.0, 0.0])}
    assert gram_of("fisher", context, [tangent]).item() == pytest.approx(5)
    assert gram_of("fisher_diag", context, [tangent]).item() == pytest.approx(5)
    residual = context.apply(context.parameters, samples.inputs).double()
    expected = (residual @ tangent["bias"].double()).square().mean()
    assert gram_of("fisher_empirical", context, [tangent]).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("name", METRICS)
def test_tensors_that_never_change_do_not_count(name):
    context = build_context(constant=frozenset({"0.bias"}))
    tangents = draw_tangents(context.parameters)
    without = [{**tangent, "0.bias": torch.zeros(HIDDEN)} for tangent in tangents]
    torch.testing.assert_close(
        gram_of(name, context, tangents), gram_of(name, build_context(), without), rtol=1e-6, atol=1e-9
    )


def judge(metric, task=TASK, available=(Requirement.MODEL, Requirement.TRAIN_SPLIT), **options):
    subject = Subject(task=task, shapes={"w": (2, 2)}, constant=frozenset(), available=frozenset(available))
    return metric.applies(subject, metric.options(**options)).reason


@pytest.mark.parametrize(
    "metric", [FisherMetric(), FisherDiagMetric(), FisherEmpiricalMetric(), FisherMonteCarloMetric()]
)
def test_without_a_likelihood_it_does_not_apply(metric):
    assert judge(metric) == ""
    assert judge(metric, task=None) == "no task says what the likelihood is"
    context = build_context(task=None)
    with pytest.raises(UsageError, match="expected a task that declares a likelihood"):
        gram_of(metric.name, context, draw_tangents(context.parameters))


def test_what_needs_no_likelihood_applies_without_a_task():
    assert judge(FisherDiagRegressionMetric(), task=None) == ""
    assert judge(EuclideanMetric(), task=None, available=[]) == ""


@pytest.mark.parametrize("split", ["test", "all"])
def test_without_a_test_split_its_options_do_not_apply(split):
    expected = f"its test split is unknown or empty, and the option split is {split!r}"
    assert judge(FisherMetric(), split=split) == expected
    assert judge(FisherDiagRegressionMetric(), split=split) == expected


def test_too_few_samples_are_refused():
    context = build_context()
    with pytest.raises(UsageError, match="at least 100 samples in the split 'train', found 12"):
        gram_of("fisher", context, draw_tangents(context.parameters), num_samples=100)
    empty = build_context(train_samples=Samples(inputs=TRAIN.inputs[:0], targets=TRAIN.targets[:0]))
    with pytest.raises(UsageError, match="at least 1 samples in the split 'train', found 0"):
        gram_of("fisher", empty, draw_tangents(context.parameters))


def test_authors_choice_of_samples_is_a_label():
    options = FisherDiagRegressionOptions(**FisherDiagRegressionMetric.variants["authors"])
    assert (options.split, options.num_samples) == ("test", 16)
    assert FisherOptions().split == "train"
    assert FisherMonteCarloOptions().num_draws == 16
    assert np.isfinite(gram_of("fisher_diag_regression", build_context(), [], split="test").numpy()).all()
