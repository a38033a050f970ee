"""Loss and accuracy of a network on samples."""

from collections.abc import Callable
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


@torch.inference_mode()
def evaluate(task: Task, apply: Callable[[torch.Tensor], torch.Tensor], samples: Samples) -> Evaluation:
    """Returns mean loss and accuracy over all ``samples``; both NaN where there are none.

    Forward passes are in the parameters' own precision, everything after the outputs in float64.

    Args:
        task: gives the loss and what counts as correct.
        apply: inputs → outputs.
        samples: where to evaluate.
    """
    if len(samples) == 0:
        return Evaluation(float("nan"), float("nan"))
    total_loss, num_correct = 0.0, 0
    for start in range(0, len(samples), EVALUATION_BATCH):
        targets = samples.targets[start : start + EVALUATION_BATCH]
        outputs = apply(samples.inputs[start : start + EVALUATION_BATCH])
        total_loss += float(task.loss(outputs.double(), targets)) * len(targets)
        num_correct += task.num_correct(outputs, targets)
    return Evaluation(total_loss / len(samples), num_correct / len(samples))
