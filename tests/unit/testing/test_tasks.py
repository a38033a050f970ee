from typing import ClassVar

import pytest
import torch
from torch import nn

from grokprobe.interfaces import PeriodicAxis, Samples, Split
from grokprobe.testing import ConformanceError, check_task
from unit.testing.miniature import Doubling, NoOptions, P


class SplitOptions(NoOptions):
    p: int = P
    split: str = "even"


def recipe(text):
    class Rewritten(Doubling):
        recipes: ClassVar = {"small": text}

    return Rewritten


def with_attribute(**attributes):
    return type("Changed", (Doubling,), attributes)


def split_into(train, test):
    class Resplit(Doubling):
        def split(self, seed, generator):
            return Split(train=torch.tensor(train), test=torch.tensor(test))

    return Resplit


def axes_of(*axes):
    class Rotated(Doubling):
        def periodic_axes(self, shapes):
            return axes if "weight" in shapes else ()

    return Rotated


class UnseededSplit(Doubling):
    def split(self, seed, generator):
        order = torch.randperm(100)[:P]
        return Split(train=order, test=order[:0])


class ShuffledPopulation(Doubling):
    def population(self, progress):
        return Samples(inputs=torch.rand(P, P), targets=torch.arange(P))


class LosesTargets(Doubling):
    def population(self, progress):
        return Samples(inputs=torch.eye(P), targets=torch.arange(P - 1))


class ForgetsBias(Doubling):
    def initialise(self, model, generator):
        nn.init.normal_(model.weight, generator=generator)


class UnseededInitialisation(Doubling):
    def initialise(self, model, generator):
        nn.init.normal_(model.weight)
        nn.init.zeros_(model.bias)


class Unlearnable(Doubling):
    def build_model(self):
        return nn.Identity()

    def initialise(self, model, generator):
        pass


class KnowsEveryNetwork(Doubling):
    def periodic_axes(self, shapes):
        return (PeriodicAxis(parameter="weight", axis=1, period=P),)


class SummedLoss(Doubling):
    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets, reduction="sum")


class LossPerSample(Doubling):
    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets, reduction="none")


class InfiniteLoss(Doubling):
    def loss(self, outputs, targets):
        return super().loss(outputs, targets) / 0


class DetachedLoss(Doubling):
    def loss(self, outputs, targets):
        return super().loss(outputs.detach(), targets)


class InfiniteGradient(Doubling):
    def loss(self, outputs, targets):
        return (outputs - outputs.detach()).sqrt().sum()


class CountsAsTensor(Doubling):
    def num_correct(self, outputs, targets):
        return (outputs.argmax(dim=1) == targets).sum()


class CountsTooMany(Doubling):
    def num_correct(self, outputs, targets):
        return len(targets) + 1


class OneFeatureForAll(Doubling):
    feature_names = ("mean",)

    def features(self, inputs):
        return {"mean": inputs.mean()}


class CoarseFeature(Doubling):
    def features(self, inputs):
        return {"number": inputs.argmax(dim=1).float()}


class OneOutputForAll(Doubling):
    def build_model(self):
        return nn.Sequential(nn.Linear(P, P), nn.Flatten(0))

    def initialise(self, model, generator):
        super().initialise(model[0], generator)

    def periodic_axes(self, shapes):
        return ()


@pytest.mark.parametrize("task", [Doubling, with_attribute(period=None, periodic_axes=lambda _self, _shapes: ())])
def test_conforming_task_passes(task):
    check_task(task())


@pytest.mark.parametrize(
    ("task", "law"),
    [
        (with_attribute(name="two words"), "name is an identifier: 'two words'"),
        (with_attribute(version=""), "version is a text"),
        (with_attribute(task_options=SplitOptions), "no task option is called name, split or map: split"),
        (with_attribute(default_recipe="large"), "default_recipe is one of recipes: 'large'"),
        (recipe("[task"), "recipes are TOML: doubling/small"),
        (recipe('[task]\nname = "tripling"'), "a recipe names its task in .task.: doubling/small has 'tripling'"),
        (recipe('[task]\nname = "doubling"\nq = 1'), r"recipes validate: doubling/small: task.q: unknown key"),
        (
            recipe('[task]\nname = "doubling"\n[model]\nq = 1'),
            r"recipes validate: doubling/small: model.q: unknown key",
        ),
        (with_attribute(likelihood="categorical"), "likelihood is a Likelihood"),
        (with_attribute(chance_accuracy=1.0), r"chance_accuracy is in \[0, 1\): 1.0"),
        (ShuffledPopulation, "population is in a fixed order"),
        (LosesTargets, "population has a target for every input"),
        (UnseededSplit, "split draws from its generator alone"),
        (split_into([], [0]), "split has training samples|split holds vectors"),
        (split_into([0.0, 1.0], [2.0]), "split holds vectors of indices: torch.float32"),
        (split_into([0, 1], [3]), "split holds indices into the population: 0 … 3 of 3 samples"),
        (split_into([0, -1], [1]), "split holds indices into the population: -1 … 1"),
        (split_into([0, 1], [1]), "train and test are disjoint: 1 repeated"),
        (ForgetsBias, "initialise draws every parameter: bias untouched"),
        (UnseededInitialisation, "initialise draws from its generator alone"),
        (Unlearnable, "the model has parameters"),
        (KnowsEveryNetwork, "periodic_axes is empty for another network"),
        (with_attribute(period=None), "a task without period has no periodic axes"),
        (with_attribute(period=1), "period is at least 2: 1"),
        (axes_of(PeriodicAxis(parameter="weight", axis=2, period=P)), "periodic axes have length period or 2 · period"),
        (axes_of(PeriodicAxis(parameter="weight", axis=1, period=2)), "periodic axes have length period or 2 · period"),
        (axes_of(PeriodicAxis(parameter="other", axis=0, period=P)), "periodic axes have length period or 2 · period"),
        (OneOutputForAll, "the network has one output a sample"),
        (SummedLoss, "loss is the mean over samples"),
        (LossPerSample, "loss is a finite scalar"),
        (InfiniteLoss, "loss is a finite scalar"),
        (DetachedLoss, "loss is differentiable in the outputs"),
        (InfiniteGradient, "the gradient of the loss is finite"),
        (CountsAsTensor, "num_correct is an int"),
        (CountsTooMany, "num_correct is at most the number of samples: 3"),
        (with_attribute(feature_names=()), "feature_names are the keys of features"),
        (CoarseFeature, "features are float64: number: torch.float32"),
        (OneFeatureForAll, r"features have one value a sample: mean: \(\)"),
    ],
)
def test_broken_law_is_named(task, law):
    with pytest.raises(ConformanceError, match=f"^({law})"):
        check_task(task())
