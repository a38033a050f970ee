import math

import pytest
import torch

from grokprobe import evaluation
from grokprobe.evaluation import FormEvaluator, evaluate
from grokprobe.interfaces import Samples
from grokprobe.progress import SilentProgress
from grokprobe_tasks.ising.options import IsingModelOptions, IsingOptions
from grokprobe_tasks.ising.task import Ising
from unit.foreign_network import TASK
from unit.testing.miniature import Doubling


def build_samples(num_samples: int) -> tuple[torch.nn.Module, Samples]:
    generator = torch.Generator().manual_seed(num_samples)
    inputs = torch.randn(num_samples, 3, generator=generator)
    targets = torch.randint(0, 3, (num_samples,), generator=generator)
    model = Doubling().build_model()
    Doubling().initialise(model, generator)
    return model, Samples(inputs=inputs, targets=targets)


@pytest.mark.parametrize("num_samples", [1, 3, 10, 17])
@pytest.mark.parametrize("batch", [1, 3, 5, 100])
def test_mean_over_all_samples_whatever_the_batches(
    monkeypatch: pytest.MonkeyPatch, num_samples: int, batch: int
) -> None:
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", batch)
    model, samples = build_samples(num_samples)
    sizes = []

    def apply(inputs: torch.Tensor) -> torch.Tensor:
        sizes.append(len(inputs))
        return model(inputs)

    found = evaluate(Doubling(), apply, samples)
    loss, num_correct = 0.0, 0
    for x, y in zip(samples.inputs.tolist(), samples.targets.tolist(), strict=True):
        logits = [
            math.fsum([b, *(w * v for w, v in zip(row, x, strict=True))])
            for row, b in zip(model.weight.tolist(), model.bias.tolist(), strict=True)
        ]
        loss += math.log(math.fsum(map(math.exp, logits))) - logits[y]
        num_correct += logits.index(max(logits)) == y
    assert found.loss == pytest.approx(loss / num_samples, rel=1e-6)
    assert found.accuracy == num_correct / num_samples
    assert sum(sizes) == num_samples
    assert max(sizes) <= batch


def test_no_samples_is_undefined() -> None:
    model, samples = build_samples(2)
    found = evaluate(Doubling(), model, samples.at(torch.arange(0)))
    assert math.isnan(found.loss)
    assert math.isnan(found.accuracy)


def test_no_gradient_is_kept() -> None:
    model, samples = build_samples(4)
    outputs = []
    evaluate(Doubling(), lambda inputs: outputs.append(model(inputs)) or outputs[-1], samples)
    assert not outputs[0].requires_grad


def ising_samples(num_samples: int) -> Samples:
    generator = torch.Generator().manual_seed(0)
    spins = torch.randint(0, 2, (num_samples, 1, 16, 16), generator=generator)
    return Samples(inputs=2.0 * spins - 1, targets=torch.randint(0, 2, (num_samples,), generator=generator))


FORMS = {
    "modular_addition": (TASK, TASK.population(SilentProgress())),
    "ising": (Ising(IsingOptions(), IsingModelOptions()), ising_samples(30)),
}


@pytest.mark.parametrize("name", list(FORMS))
@pytest.mark.parametrize("share_of_zeros", [0, 0.7, 1])
def test_stacked_form_equals_the_network(monkeypatch: pytest.MonkeyPatch, name: str, share_of_zeros: float) -> None:
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", 7)
    task, population = FORMS[name]
    model, form = task.build_model(), task.stacked_form()
    assert form is not None
    generator = torch.Generator().manual_seed(1)
    task.initialise(model, generator)
    parameters = {
        f"net.{own}": torch.where(
            torch.rand(tensor.shape, generator=generator) < share_of_zeros, 0, 3 * tensor.detach()
        )
        for own, tensor in model.named_parameters()
    }
    mapping = {own: f"net.{own}" for own, _ in model.named_parameters()}
    splits = population.at(torch.arange(15)), population.at(torch.arange(15, 25))
    evaluator = FormEvaluator(form, mapping, splits)
    own = {name: parameters[foreign] for name, foreign in mapping.items()}
    for samples in (*splits, splits[0]):
        assert evaluator.takes(samples)
        found = evaluator.evaluate(parameters, samples)
        expected = evaluate(task, lambda inputs: torch.func.functional_call(model, own, (inputs,)), samples)
        assert found.loss == pytest.approx(expected.loss, rel=1e-6)
        assert found.accuracy == expected.accuracy


def test_stacked_form_takes_only_the_samples_it_was_given() -> None:
    task, population = FORMS["modular_addition"]
    empty = population.at(torch.arange(0))
    form = task.stacked_form()
    assert form is not None
    names = [name for name, _ in task.build_model().named_parameters()]
    evaluator = FormEvaluator(form, {name: name for name in names}, (population, empty))
    assert not evaluator.takes(population.at(torch.arange(25)))
    parameters = {name: tensor.detach() for name, tensor in task.build_model().named_parameters()}
    assert math.isnan(evaluator.evaluate(parameters, empty).loss)
