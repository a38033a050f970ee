"""Learning problems small enough to know everything about."""

from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from grokprobe.interfaces import Likelihood, Samples, Split
from grokprobe.testing import FixedContext


class NoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Regression:
    """Mean squared error / 2; its network and data are given by whoever makes a context of it."""

    name: ClassVar[str] = "regression"
    version: ClassVar[str] = "1"
    task_options: ClassVar = NoOptions
    model_options: ClassVar = NoOptions
    recipes: ClassVar = {"small": '[task]\nname = "regression"\n'}
    default_recipe: ClassVar[str] = "small"
    likelihood = Likelihood.GAUSSIAN
    chance_accuracy = 0.0
    period = None
    feature_names = ()

    def __init__(self, options=None, model_options=None):
        pass

    def periodic_axes(self, shapes):
        return ()

    def build_model(self):
        return nn.Linear(3, 2)

    def stacked_form(self):
        return None

    def initialise(self, model, generator):
        nn.init.normal_(model.weight, generator=generator)

    def population(self, progress):
        return Samples(inputs=torch.eye(3), targets=torch.zeros(3, 2))

    def split(self, seed, generator):
        return Split(train=torch.arange(3), test=torch.arange(0))

    def loss(self, outputs, targets):
        return (outputs - targets).square().sum(dim=1).mean() / 2

    def num_correct(self, outputs, targets):
        return 0

    def features(self, inputs):
        return {}


class Classification(Regression):
    """Cross-entropy of class indices."""

    name: ClassVar[str] = "classification"
    likelihood = Likelihood.CATEGORICAL

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)


def linear_context(num_samples=200, num_inputs=4, num_outputs=3):
    """A linear network at the least-squares solution, in float64, with noise in the targets."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(num_samples, num_inputs, generator=generator, dtype=torch.float64)
    targets = torch.randn(num_samples, num_outputs, generator=generator, dtype=torch.float64)
    design = torch.cat([inputs, torch.ones(num_samples, 1)], dim=1)
    solution = torch.linalg.lstsq(design, targets).solution
    return FixedContext(
        parameters={"weight": solution[:-1].T.contiguous(), "bias": solution[-1].contiguous()},
        task=Regression(),
        model=nn.Linear(num_inputs, num_outputs, dtype=torch.float64),
        train_samples=Samples(inputs=inputs, targets=targets),
    )


def linear_curvatures(context):
    """Eigenvalues of the Hessian of the mean loss: those of the second moments of the inputs, once per output."""
    inputs = context.train_samples.inputs
    design = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    return torch.linalg.eigvalsh(design.T @ design / len(inputs)).repeat(len(context.parameters["bias"]))


def convolution_context(dtype=torch.float32):
    """A convolution, a normalisation with running statistics, pooling and a linear layer, on random images."""
    generator = torch.Generator().manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    ).to(dtype)
    parameters = {
        name: 0.5 * torch.randn(tensor.shape, generator=generator).to(dtype)
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point()
    }
    parameters["1.running_var"] = torch.ones(2, dtype=dtype)
    return FixedContext(
        parameters=parameters,
        task=Classification(),
        model=model,
        train_samples=Samples(
            inputs=torch.randn(50, 1, 4, 4, generator=generator).to(dtype),
            targets=torch.randint(3, (50,), generator=generator),
        ),
    )
