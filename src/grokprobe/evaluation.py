"""Loss and accuracy of a network on samples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from grokprobe.interfaces import Evaluation, Parameters, Samples, StackedForm, Task

#: Samples per forward pass. Part of the numbers' last digits, so it is fixed.
EVALUATION_BATCH: Final = 2048


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


class FormEvaluator:
    """Evaluates a task's own network at many parameters on the same few sets of samples, in the task's stacked form.

    Equal to :func:`evaluate` with the network itself to rounding, and faster where the form is: what only depends on
    the samples is computed once. Other samples are not taken, since a form may encode nothing but samples of its task.
    """

    def __init__(self, form: StackedForm, mapping: Mapping[str, str], known: Sequence[Samples]) -> None:
        """Binds the evaluator; encodes nothing yet.

        Args:
            form: the task's form of its network.
            mapping: the network's own names, of all its parameters, → those of the parameters to evaluate.
            known: samples of the task.
        """
        self._form = form
        self._mapping = mapping
        self._known = known
        self._encoded: dict[int, torch.Tensor] = {}

    def takes(self, samples: Samples) -> bool:
        """Whether ``samples`` is one of the known sets, the same object."""
        return any(samples is known for known in self._known)

    @torch.inference_mode()
    def evaluate(self, parameters: Parameters, samples: Samples) -> Evaluation:
        """Returns mean loss and accuracy over ``samples``, which it takes; both NaN where there are none."""
        if len(samples) == 0:
            return Evaluation(float("nan"), float("nan"))
        if id(samples) not in self._encoded:
            self._encoded[id(samples)] = self._form.encode(samples.inputs)
        packed = self._form.pack({name: parameters[foreign].detach() for name, foreign in self._mapping.items()})
        stacked = {name: tensor.unsqueeze(0) for name, tensor in packed.items()}
        total_loss, num_correct = 0.0, 0
        batches = (self._encoded[id(samples)].split(EVALUATION_BATCH), samples.targets.split(EVALUATION_BATCH))
        for inputs, targets in zip(*batches, strict=True):
            losses, correct = self._form.evaluate(stacked, inputs.unsqueeze(0), targets.unsqueeze(0))
            total_loss += float(losses)
            num_correct += int(correct)
        return Evaluation(total_loss / len(samples), num_correct / len(samples))
