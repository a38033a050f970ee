"""Small networks whose layers are known, for the probes that look at them."""

import torch
from torch import nn

from grokprobe.interfaces import Samples
from grokprobe.numerics.streams import build_generator

NUM_SAMPLES, NUM_INPUTS = 60, 6


def draw(*shape, seed):
    return torch.randn(shape, generator=build_generator(seed))


SAMPLES = Samples(inputs=draw(NUM_SAMPLES, NUM_INPUTS, seed=0), targets=torch.zeros(NUM_SAMPLES, dtype=torch.int64))


class TwoLayers(nn.Module):
    """hidden = W x + b, output = V relu(hidden) + c."""

    def __init__(self, hidden=5):
        super().__init__()
        self.hidden = nn.Linear(NUM_INPUTS, hidden)
        self.output = nn.Linear(hidden, 3)

    def forward(self, inputs):
        return self.output(self.hidden(inputs).clamp(min=0))


class Convolution(nn.Module):
    """A convolution over the inputs as a 2 × 3 image, then a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.output = nn.Linear(12, 3)

    def forward(self, inputs):
        return self.output(self.conv(inputs.reshape(-1, 1, 2, 3)).clamp(min=0).flatten(1))


def parameters_of(network, seed):
    """Values for the network's parameters."""
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    return {name: draw(*shape, seed=100 * seed + place) for place, (name, shape) in enumerate(shapes.items())}


@torch.no_grad()
def layers_of(network, parameters, inputs=SAMPLES.inputs):
    """Pre-activations of the two layers by torch alone, float64 arrays (num_samples, num_units)."""
    network.load_state_dict(parameters)
    first, last = network.children()
    images = inputs.reshape(-1, 1, 2, 3) if isinstance(first, nn.Conv2d) else inputs
    hidden = first(images)
    output = last(hidden.clamp(min=0).flatten(1))
    return [layer.flatten(1).double().numpy() for layer in (hidden, output)]
