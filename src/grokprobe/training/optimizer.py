"""One optimizer for the stacked tensors of many members."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from grokprobe.training.tables import OptimizerTable

#: State of Adam that all members share, because all have taken the same number of steps.
STEP: Final = "step"
#: State of Adam with a value for each parameter.
MOMENTS: Final = ("exp_avg", "exp_avg_sq")


class StackedOptimizer:
    """Changes stacked tensors element by element, as :func:`~grokprobe.training.learner.build_optimizer` would each.

    It calls torch's fused kernels as functions: the bookkeeping of ``torch.optim.Optimizer.step`` takes as long as
    the kernel itself at 174 193 parameters. A kernel takes one learning rate and one weight decay, so members that
    differ in them are changed by as many calls as there are pairs of these.
    """

    def __init__(self, tables: Sequence[OptimizerTable], parameters: Mapping[str, torch.Tensor]) -> None:
        """Begins with no steps taken.

        Args:
            tables: one for each member; they differ in learning rate and weight decay only.
            parameters: name → stacked tensor, changed in place.
        """
        self._names = list(parameters)
        self._name = tables[0].name
        self._moments = {
            key: {name: torch.zeros_like(tensor) for name, tensor in parameters.items()}
            for key in MOMENTS
            if self._name != "sgd"
        }
        self._parts = [
            _Part(table, members, parameters, self._moments, self._names) for table, members in _group(tables).items()
        ]

    @torch.no_grad()
    def step(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """Takes one step of every member."""
        for part in self._parts:
            part.step(gradients)

    def moments(self) -> dict[str, dict[str, torch.Tensor]]:
        """Returns Adam's moments themselves: key → name → stacked tensor."""
        return self._moments

    @property
    def num_steps(self) -> torch.Tensor | None:
        """Number of steps taken, a scalar as torch keeps it; None where the optimizer has no state."""
        return self._parts[0].steps[0] if self._moments else None

    def set_num_steps(self, num_steps: torch.Tensor) -> None:
        """Takes over the number of steps."""
        for part in self._parts:
            for step in part.steps:
                step.copy_(num_steps)


class _Part:
    """The members of one learning rate and weight decay: views of their tensors."""

    def __init__(
        self,
        table: OptimizerTable,
        members: Sequence[slice],
        parameters: Mapping[str, torch.Tensor],
        moments: Mapping[str, Mapping[str, torch.Tensor]],
        names: Sequence[str],
    ) -> None:
        self._table = table
        self._places = [(name, ours) for ours in members for name in names]
        self._parameters = self._select(parameters)
        self._moments = {key: self._select(tensors) for key, tensors in moments.items()}
        self.steps = [torch.zeros((), device=tensor.device) for tensor in self._parameters]

    def step(self, gradients: Mapping[str, torch.Tensor]) -> None:
        table, slopes = self._table, self._select(gradients)
        if table.name == "sgd":
            sgd(
                self._parameters,
                slopes,
                [None] * len(slopes),
                fused=True,
                weight_decay=table.weight_decay,
                momentum=0.0,
                lr=table.lr,
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )
            return
        (adam if table.name == "adam" else adamw)(
            self._parameters,
            slopes,
            self._moments["exp_avg"],
            self._moments["exp_avg_sq"],
            [],
            self.steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=table.lr,
            weight_decay=table.weight_decay,
            eps=1e-8,
            maximize=False,
        )

    def _select(self, stacked: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        return [stacked[name][ours] for name, ours in self._places]


def _group(tables: Sequence[OptimizerTable]) -> dict[OptimizerTable, list[slice]]:
    """Returns for each different table the stretches of members that have it."""
    found: dict[OptimizerTable, list[slice]] = {}
    start = 0
    for table, run in itertools.groupby(tables):
        stop = start + len(list(run))
        found.setdefault(table, []).append(slice(start, stop))
        start = stop
    return found
