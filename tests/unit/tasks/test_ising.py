"""The task is the published one."""

import random

import pytest
import torch
from pydantic import ValidationError

from grokprobe.errors import UsageError
from grokprobe.interfaces import Likelihood
from grokprobe.numerics.streams import INITIALISATION_STREAM, build_generator
from grokprobe.progress import SilentProgress
from grokprobe.testing.tasks import check_task
from grokprobe_tasks import ising
from grokprobe_tasks.ising import EnergyProbe, Ising
from grokprobe_tasks.ising.options import IsingModelOptions, IsingOptions
from grokprobe_tasks.ising.snapshots import phase_labels

SMALL = {"size": 8, "num_temperatures": 4, "num_snapshots": 10, "num_sweeps": 2, "num_train": 9, "num_test": 15}


def build(**options: object) -> Ising:
    return Ising(IsingOptions.model_validate(options), IsingModelOptions())


def test_the_plugin_brings_the_task_and_its_probe() -> None:
    assert ising.grokprobe_tasks() == (Ising,)
    assert [type(probe) for probe in ising.grokprobe_probes()] == [EnergyProbe]


def test_it_keeps_the_laws_of_a_task() -> None:
    check_task(build(**SMALL))
    check_task(build(**SMALL, draw="shuffled"))


def test_the_network_has_the_published_parameters() -> None:
    parameters = dict(build().build_model().named_parameters())
    sizes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    assert sizes == {
        "conv1.weight": (2, 1, 3, 3),
        "conv1.bias": (2,),
        "conv2.weight": (4, 2, 3, 3),
        "conv2.bias": (4,),
        "hidden.weight": (100, 64),
        "hidden.bias": (100,),
        "output.weight": (2, 100),
        "output.bias": (2,),
    }
    assert sum(parameter.numel() for parameter in parameters.values()) == 6798


def test_the_network_is_what_its_formula_says() -> None:
    task = build(**SMALL)
    model = task.build_model()
    task.initialise(model, build_generator(0))
    inputs, own = task.population(SilentProgress()).inputs[:3], model.state_dict()

    def convolve(maps: torch.Tensor, layer: str) -> torch.Tensor:
        weight, bias = own[f"{layer}.weight"], own[f"{layer}.bias"]
        padded = torch.nn.functional.pad(maps, (1, 1, 1, 1))
        height, width = maps.shape[2:]
        outputs = torch.zeros(len(maps), len(bias), height, width)
        for row in range(height):
            for column in range(width):
                patch = padded[:, None, :, row : row + 3, column : column + 3]
                outputs[:, :, row, column] = (patch * weight).sum(dim=(2, 3, 4)) + bias
        relu = outputs.clamp(min=0)
        return torch.stack([relu[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)]).amax(
            dim=0
        )  # each block of 2 x 2

    flat = convolve(convolve(inputs, "conv1"), "conv2").flatten(1)
    hidden = (flat @ own["hidden.weight"].T + own["hidden.bias"]).clamp(min=0)
    torch.testing.assert_close(model(inputs), hidden @ own["output.weight"].T + own["output.bias"])


def test_the_initialisation_has_the_law_of_pytorchs_own() -> None:
    task, drawn = build(), {}
    for seed in range(50):
        model = task.build_model()
        task.initialise(model, build_generator(seed, INITIALISATION_STREAM))
        for name, parameter in model.state_dict().items():
            drawn.setdefault(name, []).append(parameter.flatten())
    fans = {"conv1": 9, "conv2": 18, "hidden": 64, "output": 100}
    for name, parts in drawn.items():
        values = torch.cat(parts).double() * fans[name.partition(".")[0]] ** 0.5
        assert float(values.abs().max()) <= 1 + 1e-6
        assert float(values.abs().max()) > 1 - 10 / len(values)
        assert abs(float(values.mean())) < 5 / (3 * len(values)) ** 0.5  # a uniform value has variance 1/3
        assert float((values**2).mean()) == pytest.approx(1 / 3, abs=5 * (4 / 45 / len(values)) ** 0.5)


def test_a_network_of_pytorch_has_the_same_bounds() -> None:
    for layer in build().build_model().modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            bound = layer.weight[0].numel() ** -0.5
            assert float(layer.weight.detach().abs().max()) <= bound
            assert float(layer.weight.detach().abs().max()) > 0.5 * bound


def test_the_population_is_in_the_order_of_the_temperatures() -> None:
    samples = build(**SMALL).population(SilentProgress())
    assert (samples.inputs.dtype, samples.inputs.shape) == (torch.float32, (40, 1, 8, 8))
    assert samples.inputs.abs().unique().tolist() == [1.0]
    assert samples.targets.tolist() == [0] * 20 + [1] * 20


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_a_balanced_split_has_half_of_each_phase(seed: int) -> None:
    labels = phase_labels(IsingOptions())
    split = build().split(seed, build_generator(seed))
    for part, num_samples in ((split.train, 300), (split.test, 1000)):
        assert labels[part].bincount().tolist() == [num_samples // 2] * 2
    halves = labels[split.train][:150], labels[split.train][150:]
    assert all(0 < int(half.sum()) < 150 for half in halves)  # batches hold both phases
    odd = build(**SMALL).split(seed, build_generator(seed))
    labels = phase_labels(IsingOptions(**SMALL))
    assert [labels[part].bincount().tolist() for part in (odd.train, odd.test)] == [[5, 4], [8, 7]]


def test_a_shuffled_split_is_the_authors_draw() -> None:
    numbers = list(range(50_000))
    random.seed(3)
    random.shuffle(numbers)
    split = build(draw="shuffled").split(3, build_generator(0))
    assert split.test.tolist() == numbers[:1000]
    assert split.train.tolist() == numbers[1000:1300]


def test_seeds_split_differently_and_share_the_population() -> None:
    task = build(**SMALL)
    first, second = (task.split(seed, build_generator(seed)) for seed in (0, 1))
    assert not first.train.equal(second.train)
    assert task.population(SilentProgress()).inputs.equal(task.population(SilentProgress()).inputs)


def test_too_few_snapshots_are_one_clear_line() -> None:
    with pytest.raises(ValidationError, match=r"expected at least num_train \+ num_test = 24 snapshots, found .* 4"):
        build(**SMALL | {"num_snapshots": 1})
    odd = build(**SMALL | {"num_train": 21, "num_test": 19})
    with pytest.raises(UsageError, match=r"at least 21 ordered snapshots .*, found 20 in the simulation; lower them"):
        odd.split(0, build_generator(0))


@pytest.mark.parametrize(
    "options", [{"size": 10}, {"num_temperatures": 3}, {"num_snapshots": 0}, {"draw": "even"}, {"temperature": 2.0}]
)
def test_options_are_strict(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        IsingOptions.model_validate(options)


def test_what_is_known_about_it() -> None:
    task = build()
    assert task.likelihood is Likelihood.CATEGORICAL
    assert (task.period, task.chance_accuracy) == (None, 0.5)
    assert task.periodic_axes({"hidden.weight": (100, 64)}) == ()


def test_features_of_known_configurations() -> None:
    task = build()
    up = torch.ones(1, 16, 16)
    checkerboard = (1 - 2 * (torch.arange(16)[:, None] + torch.arange(16)).remainder(2)).float().unsqueeze(0)
    stripes = torch.cat([torch.ones(1, 8, 16), -torch.ones(1, 8, 16)], dim=1)
    features = task.features(torch.stack([up, -up, checkerboard, stripes]))
    assert tuple(features) == task.feature_names
    assert features["energy"].tolist() == [-512, -512, 512, -512 + 2 * 32]  # two walls of 16 bonds, each costs 2
    assert features["magnetization"].tolist() == [256, -256, 0, 0]
    assert features["abs_magnetization"].tolist() == [256, 256, 0, 0]


def test_features_are_those_of_a_loop() -> None:
    spins = torch.randint(0, 2, (5, 1, 8, 8), generator=build_generator(0)).mul(2).sub(1).float()
    features = build(size=8).features(spins)
    for index, lattice in enumerate(spins.squeeze(1).int().tolist()):
        bonds = (
            lattice[row][column] * (lattice[(row + 1) % 8][column] + lattice[row][(column + 1) % 8])
            for row in range(8)
            for column in range(8)
        )
        assert float(features["energy"][index]) == -sum(bonds)
        assert float(features["magnetization"][index]) == sum(map(sum, lattice))


def test_accuracy_and_loss() -> None:
    task, outputs = build(), torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 1.0]])
    assert task.num_correct(outputs, torch.tensor([0, 0, 0])) == 2
    expected = -outputs.double().log_softmax(dim=1)[[0, 1, 2], [0, 1, 1]].mean()
    assert float(task.loss(outputs, torch.tensor([0, 1, 1]))) == pytest.approx(float(expected), rel=1e-6)
