"""The laws of a Task."""

import torch

from grokprobe.interfaces import Likelihood, PeriodicAxis, Samples, Split, Task
from grokprobe.numerics.streams import build_generator
from grokprobe.progress import SilentProgress
from grokprobe.testing.conformance import require
from grokprobe.testing.mutation import equal_values
from grokprobe.testing.recipes import check_recipes
from grokprobe.testing.stacked import check_stacked_form

#: How many samples the loss and the features are tried on.
NUM_TRIED = 8


def check_task(task: Task) -> None:
    """Checks ``task`` against the laws of :class:`grokprobe.interfaces.Task`.

    Population, split and initialisation are pure functions of options and generator; train and test are disjoint parts
    of the population; :meth:`initialise` draws every parameter; the loss is a finite, differentiable mean; the periodic
    axes fit the network; the recipes validate; a stacked form computes what the network does.

    Raises:
        ConformanceError: a law is broken.
    """
    check_recipes(task)
    require(bool(task.version), "version is a text", repr(task.version))
    require(isinstance(task.likelihood, Likelihood), "likelihood is a Likelihood", repr(task.likelihood))
    require(0 <= task.chance_accuracy < 1, "chance_accuracy is in [0, 1)", repr(task.chance_accuracy))
    population = task.population(SilentProgress())
    _check_population(task, population)
    split = task.split(0, build_generator(0))
    _check_split(task, split, len(population))
    model = _checked_model(task)
    _check_periodic_axes(task, model)
    _check_outputs(task, model, population.at(split.train[:NUM_TRIED]))
    check_stacked_form(task, population)


def _check_population(task: Task, population: Samples) -> None:
    again = task.population(SilentProgress())
    require(len(population.inputs) == len(population.targets) > 0, "population has a target for every input")
    require(
        equal_values(population.inputs, again.inputs) and equal_values(population.targets, again.targets),
        "population is in a fixed order",
        "two calls differ",
    )


def _check_split(task: Task, split: Split, num_samples: int) -> None:
    again = task.split(0, build_generator(0))
    require(
        torch.equal(split.train, again.train) and torch.equal(split.test, again.test),
        "split draws from its generator alone",
        "two generators of one seed give different splits",
    )
    require(len(split.train) > 0, "split has training samples")
    indices = torch.cat([split.train, split.test])
    require(not indices.is_floating_point() and indices.ndim == 1, "split holds vectors of indices", str(indices.dtype))
    lowest, highest = int(indices.min()), int(indices.max())
    require(
        lowest >= 0 and highest < num_samples,
        "split holds indices into the population",
        f"{lowest} … {highest} of {num_samples} samples",
    )
    num_repeated = len(indices) - len(indices.unique())
    require(num_repeated == 0, "train and test are disjoint", f"{num_repeated} repeated indices")


def _checked_model(task: Task) -> torch.nn.Module:
    models = [task.build_model(), task.build_model()]
    for model in models:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(torch.nan)  # what initialise does not draw stays NaN
        task.initialise(model, build_generator(0))
    drawn, again = (dict(model.named_parameters()) for model in models)
    require(bool(drawn), "the model has parameters")
    untouched = [name for name, parameter in drawn.items() if bool(parameter.isnan().any())]
    require(not untouched, "initialise draws every parameter", f"{', '.join(untouched)} untouched")
    require(
        all(equal_values(parameter, again[name]) for name, parameter in drawn.items()),
        "initialise draws from its generator alone",
        "two generators of one seed give different parameters",
    )
    return models[0]


def _check_periodic_axes(task: Task, model: torch.nn.Module) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    foreign = task.periodic_axes({"no_network_of_this_task.weight": (3, 5, 7)})
    require(not foreign, "periodic_axes is empty for another network", repr(foreign))
    axes = task.periodic_axes(shapes)
    if task.period is None:
        require(not axes, "a task without period has no periodic axes", repr(axes))
        return
    require(task.period >= 2, "period is at least 2", repr(task.period))
    for axis in axes:
        require(_fits(axis, shapes, task.period), "periodic axes have length period or 2 · period", repr(axis))


def _fits(axis: PeriodicAxis, shapes: dict[str, tuple[int, ...]], period: int) -> bool:
    shape = shapes.get(axis.parameter, ())
    if axis.period != period or not 0 <= axis.axis < len(shape):
        return False
    return shape[axis.axis] in (period, 2 * period)


def _check_outputs(task: Task, model: torch.nn.Module, samples: Samples) -> None:
    outputs = model.eval()(samples.inputs).detach().requires_grad_()
    require(len(outputs) == len(samples), "the network has one output a sample", f"{tuple(outputs.shape)}")
    loss = task.loss(outputs, samples.targets)
    require(loss.ndim == 0 and bool(loss.isfinite()), "loss is a finite scalar", f"{loss!r}")
    require(loss.requires_grad, "loss is differentiable in the outputs")
    (gradient,) = torch.autograd.grad(loss, outputs)
    require(bool(gradient.isfinite().all()), "the gradient of the loss is finite")
    twice = task.loss(outputs.repeat_interleave(2, dim=0), samples.targets.repeat_interleave(2, dim=0))
    require(
        bool(torch.isclose(twice, loss, rtol=1e-4)),
        "loss is the mean over samples",
        f"{loss.item():g}, but {twice.item():g} with every sample twice",
    )
    correct = task.num_correct(outputs.detach(), samples.targets)
    require(isinstance(correct, int), "num_correct is an int", repr(correct))
    require(0 <= correct <= len(samples), "num_correct is at most the number of samples", repr(correct))
    features = task.features(samples.inputs)
    require(tuple(features) == task.feature_names, "feature_names are the keys of features", repr(tuple(features)))
    for name, values in features.items():
        require(values.shape == (len(samples),), "features have one value a sample", f"{name}: {tuple(values.shape)}")
        require(values.dtype == torch.float64, "features are float64", f"{name}: {values.dtype}")
