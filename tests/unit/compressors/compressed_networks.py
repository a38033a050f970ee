"""Contexts for compressors: a small convolution network as a checkpoint, and modular addition with its data."""

import torch

from grokprobe.interfaces import Parameters
from grokprobe.progress import SilentProgress
from grokprobe.testing import FixedContext
from unit.foreign_network import TASK

SHAPES = {
    "conv.bias": (4,),
    "conv.weight": (4, 2, 3, 3),
    "norm.scale": (4,),
    "hidden.bias": (5,),
    "hidden.weight": (5, 6),
    "buffer": (6, 6),
    "head": (3, 5),
}
CONSTANT = frozenset({"buffer"})
TRAIN = TASK.population(SilentProgress()).at(torch.arange(15))
TEST = TASK.population(SilentProgress()).at(torch.arange(15, 25))


def draw_parameters(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def weights_context(parameters: Parameters | None = None) -> FixedContext:
    """A checkpoint of unknown origin with one buffer."""
    return FixedContext(parameters=parameters or draw_parameters(), constant=CONSTANT)


def addition_context(seed: int = 0) -> FixedContext:
    """Modular addition at random parameters, with its data."""
    model = TASK.build_model()
    TASK.initialise(model, torch.Generator().manual_seed(seed))
    parameters = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    return FixedContext(parameters=parameters, task=TASK, model=model, train_samples=TRAIN, test_samples=TEST)
