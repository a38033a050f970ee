"""Samples of a task, which of them are for training, and what an evaluation on some of them says."""

from dataclasses import dataclass
from typing import NamedTuple

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Inputs and targets, one row per sample."""

    #: Shape (num_samples, …).
    inputs: torch.Tensor
    #: Shape (num_samples, …).
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device) -> "Samples":
        """Returns the samples on ``device``."""
        return Samples(inputs=self.inputs.to(device), targets=self.targets.to(device))

    def at(self, indices: torch.Tensor) -> "Samples":
        """Returns the samples at ``indices``, in that order."""
        return Samples(inputs=self.inputs[indices], targets=self.targets[indices])


class Evaluation(NamedTuple):
    """Loss and accuracy of a network on one set of samples."""

    #: Mean loss over the samples, in nats.
    loss: float
    #: Fraction classified correctly, in [0, 1].
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which samples of a task's population are for training and which for testing."""

    #: Indices into the population, in training order.
    train: torch.Tensor
    #: Indices into the population; empty where there is no test split.
    test: torch.Tensor
