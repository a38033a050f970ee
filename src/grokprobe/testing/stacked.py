"""The laws of a Task's stacked form."""

from collections.abc import Mapping

import torch

from grokprobe.interfaces import Samples, StackedForm, Task
from grokprobe.numerics.streams import build_generator
from grokprobe.testing.conformance import require

#: Seeds and scales that are computed together.
NUM_SEEDS = 2
NUM_SCALES = 2
#: Samples of a seed.
NUM_SAMPLES = 6
#: Difference allowed, relative to the largest entry, in float64.
TOLERANCE = 1e-9
#: Difference allowed of a sum of losses, relative.
EVALUATION_TOLERANCE = 1e-6


def check_stacked_form(task: Task, population: Samples) -> None:
    """Checks the stacked form of ``task``, if it has one, against its network and automatic differentiation.

    Raises:
        ConformanceError: a law of :class:`grokprobe.interfaces.StackedForm` is broken.
    """
    form = task.stacked_form()
    if form is None:
        return
    models = [_initialised(task, number) for number in range(NUM_SEEDS * NUM_SCALES)]
    packed = [form.pack(_values(model)) for model in models]
    _check_layout(form, _values(models[0]))
    stacked = {name: torch.stack([one[name] for one in packed]) for name in packed[0]}
    chosen = torch.arange(NUM_SEEDS * NUM_SAMPLES) % len(population)
    inputs = population.inputs[chosen].double().unflatten(0, (NUM_SEEDS, NUM_SAMPLES))
    targets = population.targets[chosen].unflatten(0, (NUM_SEEDS, NUM_SAMPLES))
    encoded = torch.stack([form.encode(one) for one in inputs])
    gradients = {name: torch.full_like(tensor, torch.nan) for name, tensor in stacked.items()}
    losses = form.compute_gradients(stacked, encoded, targets, gradients)
    outputs = form.compute_outputs(stacked, encoded)
    sums, num_correct = form.evaluate(stacked, encoded, targets)
    require(not num_correct.is_floating_point() and sums.dtype == torch.float64, "evaluate gives float64 and integers")
    for member, model in enumerate(models):
        seed = member // NUM_SCALES
        expected = model(inputs[seed])
        loss = task.loss(expected, targets[seed])
        loss.backward()
        difference = (sums[member] / NUM_SAMPLES - loss.detach()).abs()
        require(bool(difference <= EVALUATION_TOLERANCE * loss.detach()), "the stacked form evaluates the task's loss")
        right = task.num_correct(outputs[member], targets[seed])
        require(int(num_correct[member]) == right, "the stacked form counts what the task counts as correct")
        found = form.unpack({name: tensor[member] for name, tensor in gradients.items()})
        require(_is_close(outputs[member], expected), "the stacked form gives the network's outputs")
        require(_is_close(losses[member], loss), "the stacked form gives the task's loss")
        for name, parameter in model.named_parameters():
            largest = max(float(one.grad.abs().max()) for one in model.parameters() if one.grad is not None)
            slope = (found[name] - parameter.grad).abs().max() if parameter.grad is not None else torch.nan
            require(float(slope) <= TOLERANCE * largest, "the stacked form gives the gradients of the loss", name)


def _initialised(task: Task, number: int) -> torch.nn.Module:
    model = task.build_model()
    task.initialise(model, build_generator(number))
    return model.double()


def _values(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _check_layout(form: StackedForm, parameters: Mapping[str, torch.Tensor]) -> None:
    packed = form.pack(parameters)
    back = form.unpack(packed)
    is_same = list(back) == list(parameters) and all(torch.equal(back[name], parameters[name]) for name in parameters)
    require(is_same, "unpack inverts pack")
    require(
        all(tensor.is_contiguous() for tensor in (*packed.values(), *back.values())), "pack and unpack are contiguous"
    )


def _is_close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    scale = float(expected.detach().abs().max())
    return found.shape == expected.shape and float((found - expected).detach().abs().max()) <= TOLERANCE * scale
