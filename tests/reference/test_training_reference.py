"""The loop takes the steps of the textbook, computed here in float64 with explicit gradients."""

import numpy as np
import pytest
import torch

from grokprobe.interfaces import RunCoordinates
from grokprobe.numerics.streams import DATA_STREAM, ORDER_STREAM, build_generator
from grokprobe.progress import SilentProgress
from grokprobe.training.learner import Learner
from unit.training.small_sweep import find_task, load_small

Arrays = dict[str, np.ndarray]
LR, WEIGHT_DECAY, BATCH_SIZE, NUM_EPOCHS = 0.01, 0.1, 7, 3


def compute_gradient(parameters: Arrays, inputs: np.ndarray, targets: np.ndarray) -> Arrays:
    """Gradient of the mean cross entropy of logits V relu(W x + b) + c, one sample at a time."""
    gradient = {name: np.zeros_like(value) for name, value in parameters.items()}
    for x, target in zip(inputs, targets, strict=True):
        before = parameters["input.weight"] @ x + parameters["input.bias"]
        hidden = np.maximum(before, 0)
        logits = parameters["output.weight"] @ hidden + parameters["output.bias"]
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        probabilities[target] -= 1
        back = (parameters["output.weight"].T @ probabilities) * (before > 0)
        gradient["output.weight"] += np.outer(probabilities, hidden) / len(inputs)
        gradient["output.bias"] += probabilities / len(inputs)
        gradient["input.weight"] += np.outer(back, x) / len(inputs)
        gradient["input.bias"] += back / len(inputs)
    return gradient


def take_step(optimizer: str, number: int, value: np.ndarray, slope: np.ndarray, moments: list[np.ndarray]) -> None:
    """One step in place; ``moments`` are Adam's first and second."""
    if optimizer == "adamw":
        value -= LR * WEIGHT_DECAY * value
    else:
        slope = slope + WEIGHT_DECAY * value
    if optimizer == "sgd":
        value -= LR * slope
        return
    moments[0] = 0.9 * moments[0] + 0.1 * slope
    moments[1] = 0.999 * moments[1] + 0.001 * slope**2
    first, second = moments[0] / (1 - 0.9**number), moments[1] / (1 - 0.999**number)
    value -= LR * first / (np.sqrt(second) + 1e-8)


@pytest.mark.parametrize("reshuffle", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_steps(optimizer: str, reshuffle: bool) -> None:
    recipe = load_small(
        {"optimizer.name": optimizer, "optimizer.weight_decay": WEIGHT_DECAY, "optimizer.reshuffle": reshuffle}
    )
    task = recipe.build_task(find_task)
    run = RunCoordinates(seed=1, init_scale=2.0)
    learner = Learner(task, task.population(SilentProgress()), recipe.optimizer, run, torch.device("cpu"))
    parameters = {name: value.double().numpy() for name, value in learner.parameters().items()}
    moments = {name: [np.zeros_like(value), np.zeros_like(value)] for name, value in parameters.items()}
    train = task.population(SilentProgress()).at(task.split(1, build_generator(1, DATA_STREAM)).train)
    number = 0
    for epoch in range(1, NUM_EPOCHS + 1):
        learner.train_epoch(epoch)
        order = np.arange(len(train))
        if reshuffle:
            order = torch.randperm(len(train), generator=build_generator(1, ORDER_STREAM, epoch)).numpy()
        for start in range(0, len(train), BATCH_SIZE):
            number += 1
            chosen = order[start : start + BATCH_SIZE]
            gradient = compute_gradient(parameters, train.inputs.numpy()[chosen], train.targets.numpy()[chosen])
            for name, value in parameters.items():
                take_step(optimizer, number, value, gradient[name], moments[name])
    for name, value in learner.parameters().items():
        np.testing.assert_allclose(value.numpy(), parameters[name], rtol=0, atol=1e-5)
    assert number == 9
