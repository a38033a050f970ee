"""A stacked form that does not compute what the network does is found."""

import pytest
import torch

from grokprobe.progress import SilentProgress
from grokprobe.testing import ConformanceError, check_task
from grokprobe.testing.stacked import check_stacked_form
from grokprobe_tasks.modular_addition import ModularAddition
from grokprobe_tasks.modular_addition.stacked import StackedTwoLayerNetwork
from grokprobe_tasks.modular_addition.task import ModularAdditionModelOptions, ModularAdditionOptions


class ForgetsToTranspose(StackedTwoLayerNetwork):
    def unpack(self, packed):
        return {name: tensor.contiguous() for name, tensor in packed.items()}


class Strided(StackedTwoLayerNetwork):
    def pack(self, parameters):
        return {name: tensor.T if tensor.ndim == 2 else tensor for name, tensor in parameters.items()}


class Doubles(StackedTwoLayerNetwork):
    def compute_outputs(self, parameters, inputs):
        return 2 * super().compute_outputs(parameters, inputs)


class SumsTheLoss(StackedTwoLayerNetwork):
    def compute_gradients(self, parameters, inputs, targets, gradients):
        return super().compute_gradients(parameters, inputs, targets, gradients) * targets.shape[1]


class AddsToGradients(StackedTwoLayerNetwork):
    def compute_gradients(self, parameters, inputs, targets, gradients):
        before = {name: tensor.clone() for name, tensor in gradients.items()}
        losses = super().compute_gradients(parameters, inputs, targets, gradients)
        for name, tensor in gradients.items():
            tensor.add_(before[name])
        return losses


class MixesMembers(StackedTwoLayerNetwork):
    def compute_gradients(self, parameters, inputs, targets, gradients):
        losses = super().compute_gradients(parameters, inputs, targets, gradients)
        gradients["output.bias"][0] += 1e-6 * gradients["output.bias"][1]
        return losses


class AveragesTheLoss(StackedTwoLayerNetwork):
    def evaluate(self, parameters, inputs, targets):
        losses, num_correct = super().evaluate(parameters, inputs, targets)
        return losses / targets.shape[1], num_correct


class CountsEverything(StackedTwoLayerNetwork):
    def evaluate(self, parameters, inputs, targets):
        losses, num_correct = super().evaluate(parameters, inputs, targets)
        return losses, num_correct + 1


class Fractions(StackedTwoLayerNetwork):
    def evaluate(self, parameters, inputs, targets):
        losses, num_correct = super().evaluate(parameters, inputs, targets)
        return losses, num_correct / targets.shape[1]


def with_form(form):
    kind = type("Formed", (ModularAddition,), {"stacked_form": lambda self: form})
    return kind(ModularAdditionOptions(p=5), ModularAdditionModelOptions(hidden=8))


def test_a_right_form_passes() -> None:
    check_task(with_form(StackedTwoLayerNetwork()))


@pytest.mark.parametrize(
    ("form", "law"),
    [
        (ForgetsToTranspose, "unpack inverts pack"),
        (Strided, "pack and unpack are contiguous"),
        (Doubles, "the stacked form gives the network's outputs"),
        (SumsTheLoss, "the stacked form gives the task's loss"),
        (AddsToGradients, "the stacked form gives the gradients of the loss"),
        (AveragesTheLoss, "the stacked form evaluates the task's loss"),
        (CountsEverything, "the stacked form counts what the task counts as correct"),
        (Fractions, "evaluate gives float64 and integers"),
        (MixesMembers, "the stacked form gives the gradients of the loss: output.bias"),
    ],
)
def test_a_wrong_form_is_named(form: type[StackedTwoLayerNetwork], law: str) -> None:
    task = with_form(form())
    with torch.random.fork_rng(), pytest.raises(ConformanceError, match=f"^{law}"):
        check_stacked_form(task, task.population(SilentProgress()))
