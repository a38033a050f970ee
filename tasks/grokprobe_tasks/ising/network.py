"""The network that tells ordered from disordered snapshots."""

import torch
from torch import nn


class ConvNetwork(nn.Module):
    """Two convolutions, each with ReLU and max-pooling, and two linear layers.

    ``conv1`` 3×3, padding 1, 1 → c₁; ReLU; max-pool 2; ``conv2`` 3×3, padding 1, c₁ → c₂; ReLU; max-pool 2;
    ``hidden`` c₂·(L/4)² → h; ReLU; ``output`` h → 2. With c₁ = 2, c₂ = 4, h = 100 and L = 16 these are
    20 + 76 + 6500 + 202 = 6798 numbers.

    The padding is with zeros, so the network does not see that the lattice is periodic.

    Reference: Manning-Coe et al., arXiv 2502.01739, table of network parameters, whose "kernel 2, stride 2" is the
    pooling.
    """

    def __init__(self, size: int, channels: tuple[int, int], hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels[0], kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels[0], channels[1], kernel_size=3, padding=1)
        self.hidden = nn.Linear(channels[1] * (size // 4) ** 2, hidden)
        self.output = nn.Linear(hidden, 2)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the logits, shape (num_samples, 2), of snapshots (num_samples, 1, L, L)."""
        maps = self.pool(self.relu(self.conv1(inputs)))
        maps = self.pool(self.relu(self.conv2(maps)))
        return self.output(self.relu(self.hidden(maps.flatten(start_dim=1))))
