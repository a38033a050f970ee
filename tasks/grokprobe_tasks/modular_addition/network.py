"""The network that learns modular addition."""

import torch
from torch import nn


class TwoLayerNetwork(nn.Module):
    """One hidden ReLU layer: logits = V · relu(W x + b) + c.

    Parameters ``input.weight`` W (hidden, 2p), ``input.bias`` b (hidden,), ``output.weight`` V (p, hidden) and
    ``output.bias`` c (p,): 3·p·hidden + hidden + p numbers, 174193 at p = 113 and hidden = 512.

    Reference: Manning-Coe et al., arXiv 2502.01739, table of network parameters.
    """

    def __init__(self, p: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(2 * p, hidden)
        self.relu = nn.ReLU()
        self.output = nn.Linear(hidden, p)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the logits, shape (num_samples, p), of two-hot inputs (num_samples, 2p)."""
        return self.output(self.relu(self.input(inputs)))
