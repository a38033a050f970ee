"""One optimizer for the stacked tensors of many members."""

from collections.abc import Mapping
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
    the kernel itself at 174 193 parameters.
    """

    def __init__(self, table: OptimizerTable, parameters: Mapping[str, torch.Tensor]) -> None:
        self._table = table
        self._parameters = list(parameters.values())
        self._names = list(parameters)
        device = self._parameters[0].device
        self._steps = [torch.zeros((), device=device) for _ in self._parameters]
        self._moments = {
            key: [torch.zeros_like(tensor) for tensor in self._parameters] for key in MOMENTS if table.name != "sgd"
        }

    @torch.no_grad()
    def step(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """Takes one step of every member."""
        table, slopes = self._table, [gradients[name] for name in self._names]
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
            self._steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=table.lr,
            weight_decay=table.weight_decay,
            eps=1e-8,
            maximize=False,
        )

    def moments(self) -> dict[str, dict[str, torch.Tensor]]:
        """Returns Adam's moments themselves: key → name → stacked tensor."""
        return {key: dict(zip(self._names, tensors, strict=True)) for key, tensors in self._moments.items()}

    @property
    def num_steps(self) -> torch.Tensor | None:
        """Number of steps taken, a scalar as torch keeps it; None where the optimizer has no state."""
        return self._steps[0] if self._moments else None

    def set_num_steps(self, num_steps: torch.Tensor) -> None:
        """Takes over the number of steps."""
        for step in self._steps:
            step.copy_(num_steps)
