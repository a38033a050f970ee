"""The members of a batch in training, whatever computes them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from grokprobe.interfaces import RunCoordinates, Samples, Task
from grokprobe.training.batch import Batch
from grokprobe.training.learner import Learner
from grokprobe.training.stacked import StackedEnsemble
from grokprobe.training.tables import OptimizerTable


class Ensemble(Protocol):
    """The networks, optimizers and samples of several members. Members are counted from 0."""

    def train_epoch(self, epoch: int, max_steps: int | None = None) -> torch.Tensor:
        """Takes the steps from epoch ``epoch - 1`` to ``epoch``, at most ``max_steps`` of them.

        Everything random in it comes from the seed and the epoch's number, never from what happened before.

        Returns:
            For each member the sum over the steps of the loss before the step: finite unless one of them was not. It
            stays on the device, which need not be waited for.
        """
        ...

    def evaluate(self, epoch: int) -> Sequence[dict[str, float]]:
        """Returns each member's row of the history: loss and accuracy over the whole splits at its parameters."""
        ...

    @property
    def num_steps(self) -> int:
        """Number of steps of an epoch."""
        ...

    @property
    def has_test(self) -> bool:
        """Whether there is a test split."""
        ...

    def parameters(self, member: int) -> dict[str, torch.Tensor]:
        """Returns a copy of a member's parameters, by the network's names, on the CPU."""
        ...

    def state(self, member: int) -> dict[str, torch.Tensor]:
        """Returns a copy of everything that a member's next epoch depends on, on the CPU."""
        ...

    def load_state(self, member: int, tensors: Mapping[str, torch.Tensor]) -> None:
        """Takes over what :meth:`state` returned."""
        ...


class PlainEnsemble:
    """One :class:`~grokprobe.training.learner.Learner` a member, one after the other."""

    def __init__(
        self,
        task: Task,
        population: Samples,
        optimizers: Sequence[OptimizerTable],
        members: Sequence[RunCoordinates],
        device: torch.device,
    ) -> None:
        self._learners = [
            Learner(task, population, optimizer, member, device)
            for optimizer, member in zip(optimizers, members, strict=True)
        ]

    def train_epoch(self, epoch: int, max_steps: int | None = None) -> torch.Tensor:
        """Trains every member."""
        return torch.stack([learner.train_epoch(epoch, max_steps) for learner in self._learners])

    def evaluate(self, epoch: int) -> Sequence[dict[str, float]]:
        """Evaluates every member."""
        return [learner.evaluate(epoch) for learner in self._learners]

    @property
    def num_steps(self) -> int:
        """Number of steps of an epoch."""
        return self._learners[0].num_steps

    @property
    def has_test(self) -> bool:
        """Whether there is a test split."""
        return self._learners[0].has_test

    def parameters(self, member: int) -> dict[str, torch.Tensor]:
        """Returns a copy of a member's state dict."""
        return self._learners[member].parameters()

    def state(self, member: int) -> dict[str, torch.Tensor]:
        """Returns a copy of a member's network and optimizer."""
        return self._learners[member].state()

    def load_state(self, member: int, tensors: Mapping[str, torch.Tensor]) -> None:
        """Takes over what :meth:`state` returned."""
        self._learners[member].load_state(tensors)


def build_ensemble(batch: Batch, task: Task, population: Samples) -> Ensemble:
    """Returns the members of ``batch`` before their first epoch, on the device of its runs."""
    kind = PlainEnsemble if batch.form == "plain" else StackedEnsemble
    request = batch.requests[0]
    optimizers = [member.optimizer(request.recipe.optimizer) for member in batch.members]
    runs = [member.run for member in batch.members]
    return kind(task, population, optimizers, runs, torch.device(request.device))
