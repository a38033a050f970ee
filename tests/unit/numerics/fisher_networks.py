"""Networks to differentiate: with biases, with pooling and ties, with shared weights, and what else may come."""

import torch
from torch import nn

from grokprobe.context import Network


class SharedWeights(nn.Module):
    """One embedding for two inputs, and again, transposed, for the outputs."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 6, bias=False)
        self.hidden = nn.Linear(6, 6)

    def forward(self, inputs):
        both = self.embed(inputs[:, :4]) + self.embed(inputs[:, 4:])
        return nn.functional.linear(torch.relu(self.hidden(both)), self.embed.weight.T)


class Positions(nn.Module):
    """A linear layer at every position of a sequence, a normalisation, and a residual connection before the last."""

    def __init__(self):
        super().__init__()
        self.token = nn.Linear(3, 4)
        self.norm = nn.LayerNorm(4)
        self.mix = nn.Linear(4, 4)
        self.out = nn.Linear(4, 3)

    def forward(self, inputs):
        stream = self.norm(self.token(inputs)).mean(dim=1)
        return self.out(stream + torch.tanh(self.mix(stream)))


class SequenceFirst(nn.Module):
    """Works with the samples on the second axis."""

    def __init__(self):
        super().__init__()
        self.token = nn.Linear(3, 4)
        self.out = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.out(torch.tanh(self.token(inputs.transpose(0, 1))).mean(dim=0))


class Token(nn.Module):
    """Adds to every sample what a layer makes of a learned token."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 4))
        self.project, self.embed, self.out = nn.Linear(4, 5), nn.Linear(3, 5), nn.Linear(5, 3)

    def forward(self, inputs):
        return self.out(torch.tanh(self.project(self.token) + self.embed(inputs)))


class Attention(nn.Module):
    """A transformer layer over indices."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.out(self.layer(self.embed(inputs))[:, -1])


def build_mlp():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 5))


def build_deep_mlp():
    return nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 7, bias=False), nn.Tanh(), nn.Linear(7, 3))


def build_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2),
    )  # fmt: skip


def build_odd_cnn():
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), nn.BatchNorm2d(4), nn.SiLU(),
        nn.Conv2d(4, 4, 2, groups=2), nn.Conv2d(4, 2, 2, padding=1, padding_mode="circular"), nn.Flatten(),
        nn.Linear(18, 3),
    )  # fmt: skip


def draw_inputs(shape, generator):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def draw_spins(shape, generator):
    return torch.randint(0, 2, shape, generator=generator).double() * 2 - 1


def draw_indices(shape, generator):
    return torch.randint(0, 5, shape, generator=generator)


#: Name → network, shape of a sample, and what draws samples.
CASES = {
    "mlp": (build_mlp, (6,), draw_inputs),
    "deep_mlp": (build_deep_mlp, (6,), draw_inputs),
    "cnn": (build_cnn, (1, 8, 8), draw_spins),  # equal spins tie in the pooling
    "odd_cnn": (build_odd_cnn, (2, 5, 5), draw_inputs),
    "shared_weights": (SharedWeights, (8,), draw_inputs),
    "positions": (Positions, (4, 3), draw_inputs),
    "sequence_first": (SequenceFirst, (5, 3), draw_inputs),  # as many positions as samples
    "single_position": (SequenceFirst, (1, 3), draw_inputs),
    "token": (Token, (3,), draw_inputs),
    "attention": (Attention, (3,), draw_indices),
}


class Case:
    """A float64 network with its parameters, samples and labels, named as the checkpoint has it."""

    def __init__(self, name, num_samples=5):
        build, shape, draw = CASES[name]
        generator = torch.Generator().manual_seed(0)
        self.module = build().double().eval()
        state = {name: tensor for name, tensor in self.module.state_dict().items() if tensor.is_floating_point()}
        self.parameters = {
            f"net.{name}": 1 + tensor.abs() if name.endswith("running_var") else
            torch.randn(tensor.shape, generator=generator, dtype=torch.float64) / max(1, tensor[0].numel()) ** 0.5
            for name, tensor in state.items()
        }  # fmt: skip
        self.network = Network(module=self.module, mapping={name: f"net.{name}" for name in state})
        self.inputs = draw((num_samples, *shape), generator)
        num_outputs = self.apply(self.parameters, self.inputs[:1]).shape[1]
        self.labels = torch.randint(0, num_outputs, (num_samples,), generator=generator)

    def apply(self, parameters, inputs):
        return self.network.apply(parameters, inputs)

    def draw_tangents(self, count):
        generator = torch.Generator().manual_seed(1)
        return [
            {name: torch.randn(t.shape, generator=generator, dtype=t.dtype) for name, t in self.parameters.items()}
            for _ in range(count)
        ]
