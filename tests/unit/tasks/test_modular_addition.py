"""The task is the published one."""

import math

import pytest
import torch
from pydantic import ValidationError

from grokprobe.interfaces import Likelihood, PeriodicAxis
from grokprobe.numerics.streams import INITIALISATION_STREAM, build_generator
from grokprobe.progress import SilentProgress
from grokprobe.testing.tasks import check_task
from grokprobe_tasks import modular_addition
from grokprobe_tasks.modular_addition import ModularAddition
from grokprobe_tasks.modular_addition.task import ModularAdditionModelOptions, ModularAdditionOptions

SHAPES = {"input.weight": (512, 226), "input.bias": (512,), "output.weight": (113, 512), "output.bias": (113,)}


def build(p: int = 113, train_fraction: float = 0.7, hidden: int = 512) -> ModularAddition:
    return ModularAddition(
        ModularAdditionOptions(p=p, train_fraction=train_fraction), ModularAdditionModelOptions(hidden=hidden)
    )


def test_the_plugin_brings_the_task() -> None:
    assert modular_addition.grokprobe_tasks() == (ModularAddition,)


def test_it_keeps_the_laws_of_a_task() -> None:
    check_task(build(p=5, hidden=8))
    check_task(build())


def test_the_network_has_the_published_parameters() -> None:
    parameters = dict(build().build_model().named_parameters())
    assert {name: tuple(parameter.shape) for name, parameter in parameters.items()} == SHAPES
    assert sum(parameter.numel() for parameter in parameters.values()) == 174_193


def test_the_network_is_what_its_formula_says() -> None:
    task = build(p=5, hidden=8)
    model = task.build_model()
    task.initialise(model, build_generator(0))
    inputs, parameters = task.population(SilentProgress()).inputs, model.state_dict()
    hidden = (inputs @ parameters["input.weight"].T + parameters["input.bias"]).clamp(min=0)
    torch.testing.assert_close(model(inputs), hidden @ parameters["output.weight"].T + parameters["output.bias"])


def test_initial_weights_are_xavier_normal_and_biases_zero() -> None:
    task, model = build(), build().build_model()
    task.initialise(model, build_generator(3, INITIALISATION_STREAM))
    parameters = model.state_dict()
    assert not parameters["input.bias"].any()
    assert not parameters["output.bias"].any()
    for name, fans in (("input.weight", 226 + 512), ("output.weight", 512 + 113)):
        weights = parameters[name].double()
        expected, num_weights = math.sqrt(2 / fans), weights.numel()
        assert abs(float(weights.mean())) < 5 * expected / math.sqrt(num_weights)
        assert abs(float(weights.std()) / expected - 1) < 5 / math.sqrt(2 * num_weights)
        assert abs(float(((weights / expected) ** 4).mean()) - 3) < 5 * math.sqrt(96 / num_weights)


def test_weights_are_drawn_input_first() -> None:
    task, model, generator = build(p=3, hidden=4), build(p=3, hidden=4).build_model(), build_generator(7)
    task.initialise(model, build_generator(7))
    for name in ("input.weight", "output.weight"):
        expected = torch.empty(model.state_dict()[name].shape)
        torch.nn.init.xavier_normal_(expected, generator=generator)
        assert torch.equal(model.state_dict()[name], expected)


def test_the_population_is_every_pair_in_order() -> None:
    samples = build(p=7).population(SilentProgress())
    assert samples.inputs.dtype == torch.float32
    assert samples.targets.dtype == torch.int64
    assert samples.inputs.shape == (49, 14)
    for a in range(7):
        for b in range(7):
            expected = [0.0] * 14
            expected[a] = expected[7 + b] = 1.0
            assert samples.inputs[7 * a + b].tolist() == expected
            assert int(samples.targets[7 * a + b]) == (a + b) % 7


def test_the_split_has_the_published_sizes() -> None:
    split = build().split(0, build_generator(0))
    assert (len(split.train), len(split.test)) == (8938, 3831)
    assert torch.cat([split.train, split.test]).sort().values.equal(torch.arange(113**2))


def test_the_split_belongs_to_the_generator() -> None:
    task = build(p=11)
    assert task.split(0, build_generator(0)).train.equal(task.split(0, build_generator(0)).train)
    assert not task.split(0, build_generator(0)).train.equal(task.split(1, build_generator(1)).train)


def test_the_loss_is_the_cross_entropy_of_one_hot_targets() -> None:
    task, outputs = build(p=5), torch.randn(9, 5, generator=build_generator(0))
    targets = torch.arange(9) % 5
    one_hot = torch.nn.functional.one_hot(targets, 5)
    expected = -(one_hot * outputs.double().log_softmax(dim=1)).sum(dim=1).mean()
    assert float(task.loss(outputs, targets)) == pytest.approx(float(expected), rel=1e-6)


def test_accuracy_counts_the_largest_logit() -> None:
    outputs = torch.tensor([[0.0, 1.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 5.0]])
    assert build(p=3).num_correct(outputs, torch.tensor([1, 1, 2])) == 2


def test_what_is_known_about_it() -> None:
    task = build()
    assert task.likelihood is Likelihood.CATEGORICAL
    assert task.period == 113
    assert task.chance_accuracy == 1 / 113
    assert task.features(task.population(SilentProgress()).inputs) == {}


def test_periodic_axes_are_those_of_its_own_network() -> None:
    assert build().periodic_axes(SHAPES) == (
        PeriodicAxis(parameter="input.weight", axis=1, period=113),
        PeriodicAxis(parameter="output.weight", axis=0, period=113),
    )


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"input.weight": (512, 226)},
        {**SHAPES, "input.weight": (226, 512)},
        {**SHAPES, "output.weight": (113, 256)},
        {"model.0.weight": (512, 226), "model.2.weight": (113, 512)},
    ],
)
def test_other_networks_have_no_periodic_axes(shapes: dict[str, tuple[int, ...]]) -> None:
    assert build().periodic_axes(shapes) == ()


@pytest.mark.parametrize(
    "options", [{"p": 1}, {"p": 5.0}, {"train_fraction": 0}, {"train_fraction": 1}, {"p": 2, "train_fraction": 0.2}]
)
def test_options_are_strict(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ModularAdditionOptions.model_validate(options)
