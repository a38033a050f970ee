import numpy as np
import pytest
import torch

from grokprobe.interfaces import Requirement, Samples, Subject
from grokprobe.probes.fisher import FisherOptions, FisherProbe
from grokprobe.testing import FixedContext, check_probe
from reference import fisher as reference
from reference import weights as reference_weights
from unit.foreign_network import HIDDEN, TASK, P, build_network

NUM_PARAMETERS = 3 * P * HIDDEN + HIDDEN + P
GENERATOR = torch.Generator().manual_seed(0)
PAIRS = torch.randint(0, P, (10, 2), generator=GENERATOR)
SAMPLES = Samples(
    inputs=torch.zeros(10, 2 * P).scatter_(1, PAIRS + torch.tensor([0, P]), 1.0), targets=PAIRS.sum(dim=1) % P
)
EVERYTHING = FisherOptions(num_ranks=None, eigenvalues=True, diagonal=True)


def build_context(**given):
    model = build_network(0)
    parameters = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    chosen = {"task": TASK, "model": model, "train_samples": SAMPLES, "test_samples": SAMPLES}
    return FixedContext(**({"parameters": parameters} | chosen | given))


def dense_matrix(variant):
    model = build_network(0).double()
    given = (
        lambda own, inputs: torch.func.functional_call(model, dict(own), (inputs,)),
        {name: tensor.detach() for name, tensor in model.state_dict().items()},
        SAMPLES.inputs.double(),
    )
    if variant == "regression":
        return reference.regression_matrix(*given)
    if variant == "empirical":
        return reference.empirical_matrix(*given, SAMPLES.targets)
    return reference.categorical_matrix(*given)


@pytest.mark.parametrize("variant", ["exact", "regression", "empirical"])
def test_agrees_with_the_dense_matrix(variant):
    options = EVERYTHING.model_copy(update={"variant": variant})
    values = check_probe(FisherProbe(), build_context(), options).values
    matrix = dense_matrix(variant)
    diagonal = matrix.diagonal().numpy()
    largest = diagonal.max()
    np.testing.assert_allclose(values["diagonal"], diagonal, rtol=1e-5, atol=1e-7 * largest)
    np.testing.assert_allclose(values["sorted_diagonal"], np.sort(diagonal)[::-1], rtol=1e-5, atol=1e-7 * largest)
    assert values["trace"] == pytest.approx(diagonal.sum(), rel=1e-6)
    assert values["gini"] == pytest.approx(reference_weights.gini(diagonal.tolist()), rel=1e-6)
    eigenvalues = torch.linalg.eigvalsh(matrix).flip(0).numpy()
    np.testing.assert_allclose(values["eigenvalue"], eigenvalues, rtol=1e-5, atol=2e-7 * eigenvalues[0])


def test_what_is_not_asked_for_is_not_stored():
    measurement = check_probe(FisherProbe(), build_context())
    assert set(measurement.values) == {"trace", "gini", "sorted_diagonal"}
    assert set(measurement.coordinates) == {"rank"}


def test_ranks_are_spread_in_their_logarithm():
    everything = check_probe(FisherProbe(), build_context(), EVERYTHING)
    some = check_probe(FisherProbe(), build_context(), FisherOptions(num_ranks=4, eigenvalues=True))
    ranks = some.coordinates["rank"].values
    assert ranks.tolist() == [1, 5, 26, NUM_PARAMETERS]
    for name in ("sorted_diagonal", "eigenvalue"):
        np.testing.assert_allclose(some.values[name], everything.values[name][ranks - 1], rtol=1e-9)


def test_eigenvalues_beyond_the_largest_rank_are_zero():
    options = FisherOptions(num_ranks=None, eigenvalues=True, num_samples=3)
    eigenvalues = check_probe(FisherProbe(), build_context(), options).values["eigenvalue"]
    assert np.count_nonzero(eigenvalues) <= 3 * (P - 1)
    assert not eigenvalues[3 * (P - 1) :].any()


def test_parameters_are_labelled_in_the_order_of_the_file():
    options = FisherOptions(diagonal=True)
    coordinates = check_probe(FisherProbe(), build_context(constant=frozenset({"0.bias"})), options).coordinates
    tensors = coordinates["parameter_tensor"].values
    assert list(dict.fromkeys(tensors.tolist())) == ["0.weight", "2.weight", "2.bias"]
    assert len(tensors) == NUM_PARAMETERS - HIDDEN
    assert coordinates["parameter_index"].values[tensors == "2.bias"].tolist() == list(range(P))


def test_samples_are_those_of_the_options():
    other = Samples(inputs=SAMPLES.inputs[5:], targets=SAMPLES.targets[5:])
    context = build_context(test_samples=other)

    def trace(context, **options):
        return FisherProbe().measure(context.with_options(FisherOptions(**options))).values["trace"]

    assert trace(context, split="test") == pytest.approx(trace(build_context(train_samples=other)), rel=1e-12)
    first = Samples(inputs=SAMPLES.inputs[:4], targets=SAMPLES.targets[:4])
    assert trace(context, num_samples=4) == pytest.approx(trace(build_context(train_samples=first)), rel=1e-12)
    assert trace(context, variant="empirical", num_samples=4) != pytest.approx(trace(context, variant="empirical"))


def test_applies_where_a_likelihood_or_no_likelihood_is_needed():
    available = frozenset({Requirement.MODEL, Requirement.TRAIN_SPLIT})
    subject = Subject(task=None, shapes={"w": (2, 2)}, constant=frozenset(), available=available)
    assert FisherProbe().applies(subject, FisherOptions()).reason == "no task says what the likelihood is"
    assert FisherProbe().applies(subject, FisherOptions(variant="regression")).reason == ""
    authors = FisherOptions(**FisherProbe.variants["authors"])
    assert FisherProbe().applies(subject, authors).reason.startswith("its test split is unknown or empty")
