import math

import numpy as np
import pytest
import torch
from torch import nn

from grokprobe.errors import UsageError
from grokprobe.interfaces import Likelihood, Requirement, Samples, Subject
from grokprobe.numerics.streams import build_generator
from grokprobe.progress import SilentProgress
from grokprobe.testing import FixedContext, check_probe
from grokprobe_tasks.modular_addition import progress_measures
from grokprobe_tasks.modular_addition.progress import ProgressProbe
from grokprobe_tasks.modular_addition.progress_by_final import ProgressByFinalProbe
from grokprobe_tasks.modular_addition.progress_measures import ProgressOptions
from grokprobe_tasks.modular_addition.task import (
    ModularAddition,
    ModularAdditionModelOptions,
    ModularAdditionOptions,
)
from reference import pair_waves as reference

P = 13
TASK = ModularAddition(ModularAdditionOptions(p=P), ModularAdditionModelOptions(hidden=10))
POPULATION = TASK.population(SilentProgress())
SPLIT = TASK.split(0, build_generator(0))
TRAIN = POPULATION.at(SPLIT.train)
KEY = (2, 5)


class Angles(nn.Module):
    """logits_c = Σ_k amplitude_k cos(2πk(a + b − c)/p) + bias_c: addition by angles, in closed form."""

    def __init__(self):
        super().__init__()
        self.amplitude = nn.Parameter(torch.zeros(P // 2))
        self.bias = nn.Parameter(torch.zeros(P))

    def forward(self, inputs):
        numbers = torch.arange(P, dtype=inputs.dtype)
        sums = inputs @ torch.cat([numbers, numbers])
        angles = 2 * math.pi / P * (sums[:, None] - numbers)
        waves = torch.stack([torch.cos(k * angles) for k in range(1, P // 2 + 1)], dim=-1)
        return waves @ self.amplitude + self.bias


def angles_of(amplitudes, bias=0.0):
    values = torch.zeros(P // 2)
    for frequency, amplitude in amplitudes.items():
        values[frequency - 1] = amplitude
    return {"amplitude": values, "bias": bias * torch.arange(P) / P}


def context_of(model, parameters, **given):
    return FixedContext(**({"parameters": parameters, "model": model, "task": TASK, "train_samples": TRAIN} | given))


def measure(model, parameters, probe=ProgressProbe, options=None, **given):
    return check_probe(probe(), context_of(model, parameters, **given), options).values


def random_network(seed=1):
    network = TASK.build_model()
    TASK.initialise(network, build_generator(seed))
    return network, {name: 3 * tensor.detach() for name, tensor in network.state_dict().items()}


@torch.no_grad()
def logits_of(model, parameters):
    return torch.func.functional_call(model, parameters, (POPULATION.inputs,)).double().numpy()


def test_analytic_solution_is_all_in_its_key_frequencies():
    values = measure(Angles(), angles_of({2: 3.0, 5: 2.0}))
    assert np.flatnonzero(values["is_key"] == 1).tolist() == [k - 1 for k in KEY]
    assert values["restricted_loss"] == pytest.approx(values["full_loss"], rel=1e-6)
    assert values["excluded_loss"] == pytest.approx(math.log(P), rel=1e-6)
    assert values["restricted_accuracy"] == 1
    assert values["key_wave_fraction"] == pytest.approx(1)
    np.testing.assert_allclose(values["wave_fraction"][[1, 4]], [9 / 13, 4 / 13], rtol=1e-6)


def test_excluded_logits_keep_the_mean_over_the_pairs():
    parameters = angles_of({2: 3.0, 5: 2.0}, bias=4.0)
    values = measure(Angles(), parameters)
    bias = np.tile(parameters["bias"].double().numpy(), (len(TRAIN), 1))
    assert values["excluded_loss"] == pytest.approx(reference.cross_entropy(bias, TRAIN.targets.numpy()), rel=1e-6)
    assert values["restricted_loss"] == pytest.approx(values["full_loss"], rel=1e-6)


@pytest.mark.parametrize("waves", ["sum", "products"])
def test_any_network_agrees_with_dense_projections(waves):
    model, parameters = random_network()
    values = measure(model, parameters, options=ProgressOptions(waves=waves, key_frequencies=[5, 2]))
    logits, targets = logits_of(model, parameters), POPULATION.targets.numpy()
    part = reference.part_at(logits, P, KEY, waves)
    expected = {
        "full_loss": reference.cross_entropy(logits, targets),
        "restricted_loss": reference.cross_entropy(logits.mean(axis=0) + part, targets),
        "excluded_loss": reference.cross_entropy((logits - part)[SPLIT.train], targets[SPLIT.train]),
        "restricted_accuracy": ((logits.mean(axis=0) + part).argmax(axis=1) == targets).mean(),
        "excluded_accuracy": ((logits - part).argmax(axis=1) == targets)[SPLIT.train].mean(),
        "key_wave_fraction": reference.wave_shares(logits, P)[[1, 4]].sum(),
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-6), name
    np.testing.assert_allclose(values["wave_fraction"], reference.wave_shares(logits, P), rtol=1e-5)


def test_own_and_final_key_frequencies():
    early, late = angles_of({3: 1.0, 2: 0.1}), angles_of({2: 3.0, 5: 2.0})
    own = measure(Angles(), early)
    by_final = measure(Angles(), early, ProgressByFinalProbe, last=late)
    assert np.flatnonzero(own["is_key"]).tolist() == [2]
    assert np.flatnonzero(by_final["is_key"]).tolist() == [1, 4]
    assert by_final["restricted_loss"] > by_final["full_loss"]
    assert by_final["key_wave_fraction"] == pytest.approx(0.01 / 1.01, rel=1e-5)
    assert ProgressByFinalProbe.requires == ProgressProbe.requires | {Requirement.FINAL}


def test_a_network_that_says_the_same_to_all_has_no_key_frequencies():
    values = measure(Angles(), angles_of({}, bias=4.0))
    assert values["is_key"].sum() == 0
    undefined = ("restricted_loss", "restricted_accuracy", "excluded_loss", "excluded_accuracy", "key_wave_fraction")
    assert all(np.isnan(values[name]) for name in undefined)
    assert np.isfinite(values["full_loss"])


def test_batches_do_not_matter(monkeypatch):
    model, parameters = random_network()
    whole = measure(model, parameters)
    monkeypatch.setattr(progress_measures, "EVALUATION_BATCH", 17)
    for name, values in measure(model, parameters).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-6)


class Renamed(ModularAddition):
    """A task of another name, with what a test puts in its place."""

    name = "other"

    def __init__(self, changed):
        super().__init__(ModularAdditionOptions(p=P), ModularAdditionModelOptions(hidden=10))
        self.changed = changed

    @property
    def period(self):
        return self.changed.get("period", P)

    @property
    def likelihood(self):
        return self.changed.get("likelihood", Likelihood.CATEGORICAL)

    def population(self, progress):
        return self.changed.get("population", POPULATION)


def reason_for(options=None, **changed):
    subject = Subject(task=Renamed(changed), shapes={}, constant=frozenset(), available=ProgressProbe.requires)
    return ProgressProbe().applies(subject, options or ProgressOptions()).reason


def test_applies_to_any_task_that_is_addition_of_all_pairs():
    assert reason_for() == ""
    assert reason_for(period=None) == "no task says that it adds modulo a number"
    assert reason_for(likelihood=Likelihood.GAUSSIAN) == "task other has no classes, so no logits"
    products = Samples(inputs=POPULATION.inputs, targets=(POPULATION.targets * 2) % P)
    assert reason_for(population=products) == "task other has other samples than the sums of all pairs in order"
    assert reason_for(ProgressOptions(key_frequencies=[7])) == "key_frequencies: expected 1 to 6, found 7"
    nobody = Subject(task=None, shapes={}, constant=frozenset(), available=ProgressProbe.requires)
    assert ProgressProbe().applies(nobody, ProgressOptions()).reason == "no task says that it adds modulo a number"


def test_training_samples_that_are_no_pairs_are_refused():
    foreign = Samples(inputs=TRAIN.inputs + 1, targets=TRAIN.targets)
    context = context_of(Angles(), angles_of({2: 1.0}), train_samples=foreign).with_options(ProgressOptions())
    with pytest.raises(UsageError, match="expected training samples of the task modular_addition"):
        ProgressProbe().measure(context)
