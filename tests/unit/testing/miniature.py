"""The smallest task and measures that keep every law."""

from typing import ClassVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from grokprobe.interfaces import Applicability, Likelihood, PeriodicAxis, Requirement, Samples, Split
from grokprobe.testing import FixedContext
from grokprobe.variables import Coordinate, Measurement, VariableSpec

P = 3


class NoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SizeOptions(NoOptions):
    p: int = P


class Doubling:
    """Learn 2a mod p from the one-hot of a."""

    name: ClassVar[str] = "doubling"
    version: ClassVar[str] = "1"
    task_options: ClassVar = SizeOptions
    model_options: ClassVar = NoOptions
    recipes: ClassVar = {"small": '[task]\nname = "doubling"\np = 3\n'}
    default_recipe: ClassVar[str] = "small"
    likelihood = Likelihood.CATEGORICAL
    chance_accuracy = 1 / P
    period: int | None = P
    feature_names = ("number",)

    def __init__(self, options=None, model_options=None):
        pass

    def periodic_axes(self, shapes):
        if shapes.get("weight") != (P, P):
            return ()
        return (PeriodicAxis(parameter="weight", axis=1, period=P),)

    def build_model(self):
        return nn.Linear(P, P)

    def stacked_form(self):
        return None

    def initialise(self, model, generator):
        nn.init.normal_(model.weight, generator=generator)
        nn.init.zeros_(model.bias)

    def population(self, progress):
        return Samples(inputs=torch.eye(P), targets=2 * torch.arange(P) % P)

    def split(self, seed, generator):
        order = torch.randperm(P, generator=generator)
        return Split(train=order[:2], test=order[2:])

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)

    def num_correct(self, outputs, targets):
        return int((outputs.argmax(dim=1) == targets).sum())

    def features(self, inputs):
        return {"number": inputs.argmax(dim=1).double()}


class Anywhere:
    """What all miniature measures share."""

    name = "miniature"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS})
    is_cheap = True
    options = NoOptions
    variants = {}  # noqa: RUF012 - as a plugin would write it

    def applies(self, subject, options):
        return Applicability()


class MeanProbe(Anywhere):
    """Mean of each tensor, plus a draw from the context's generator times zero."""

    def variables(self, options):
        return (VariableSpec(name="mean", dims=("layer",), description="Mean.", reference="grokprobe"),)

    def measure(self, context):
        noise = torch.rand(1, generator=context.generator).item()
        means = np.array([tensor.double().mean().item() + 0 * noise for tensor in context.parameters.values()])
        labels = Coordinate(dim="layer", values=np.array(list(context.subject.shapes)))
        return Measurement(values={"mean": means}, coordinates={"layer": labels})


class ScalingCompressor(Anywhere):
    """Every parameter times 1 − amount."""

    def amounts(self, options):
        return np.array([0.0, 0.5, 1.0])

    def labels(self, options):
        return {}

    def parts(self, subject, options):
        return {name: (name,) for name in subject.shapes}

    def compress(self, context, amounts):
        for amount in amounts:
            yield {name: (1 - amount) * tensor for name, tensor in context.parameters.items()}


class EuclideanMetric(Anywhere):
    """Sum of products."""

    def gram(self, context, tangents):
        vectors = torch.stack([torch.cat([part.double().flatten() for part in one.values()]) for one in tangents])
        return vectors @ vectors.T


def build_context(**given):
    """A context with two tensors."""
    generator = torch.Generator().manual_seed(0)
    parameters = {"weight": torch.randn(P, P, generator=generator), "bias": torch.randn(P, generator=generator)}
    return FixedContext(parameters=parameters, **given)
