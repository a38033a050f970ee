"""Loss and accuracy of a network on samples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch

from grokprobe.interfaces import Samples, Task

#: Samples per forward pass. Part of the numbers' last digits, so it is fixed.
EVALUATION_BATCH: Final = 2048


class Evaluation(NamedTuple):
    """Loss and accuracy on one set of samples."""

    #: Mean loss over the samples, in nats.
    loss: float
    #: Fraction classified correctly, in [0, 1].
    accuracy: float


@dataclass(slots=True)
class RunningEvaluation:
    """Loss and accuracy over samples that come in batches, in float64 from the outputs on."""

    _total_loss: float = 0.0
    _num_correct: int = 0
    _num_samples: int = 0

    def add(self, task: Task, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Counts a batch."""
        self._total_loss += float(task.loss(outputs.double(), targets)) * len(targets)
        self._num_correct += task.num_correct(outputs, targets)
        self._num_samples += len(targets)

    def result(self) -> Evaluation:
        """Returns the means over all samples so far; both NaN where there are none."""
        if self._num_samples == 0:
            return Evaluation(float("nan"), float("nan"))
        return Evaluation(self._total_loss / self._num_samples, self._num_correct / self._num_samples)


@torch.inference_mode()
def evaluate(task: Task, apply: Callable[[torch.Tensor], torch.Tensor], samples: Samples) -> Evaluation:
    """Returns mean loss and accuracy over all ``samples``; both NaN where there are none.

    Forward passes are in the parameters' own precision, everything after the outputs in float64.

    Args:
        task: gives the loss and what counts as correct.
        apply: inputs → outputs.
        samples: where to evaluate.
    """
    running = RunningEvaluation()
    for start in range(0, len(samples), EVALUATION_BATCH):
        outputs = apply(samples.inputs[start : start + EVALUATION_BATCH])
        running.add(task, outputs, samples.targets[start : start + EVALUATION_BATCH])
    return running.result()
