"""One network in training: its parameters, its optimizer and its data."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import torch

from grokprobe import names
from grokprobe.evaluation import Evaluation, evaluate
from grokprobe.interfaces import RunCoordinates, Samples, Task
from grokprobe.numerics.streams import DATA_STREAM, INITIALISATION_STREAM, ORDER_STREAM, build_generator
from grokprobe.training.arithmetic import flushed_denormals
from grokprobe.training.tables import OptimizerTable

#: Last spawn key of the stream, beside an epoch's order, from which random layers such as dropout draw.
LAYER_NOISE: Final = 1
MODEL_PREFIX: Final = "model."
OPTIMIZER_PREFIX: Final = "optimizer."


class Learner:
    """A network, its optimizer and the training and test samples of one seed.

    The seed opens independent streams: the split, the initialisation and the order of the samples. The initialisation
    is drawn at scale 1 and every parameter, biases too, multiplied by ``init_scale``, so runs of one seed start on one
    ray and see the same split and the same order at every scale.
    """

    def __init__(
        self, task: Task, population: Samples, optimizer: OptimizerTable, run: RunCoordinates, device: torch.device
    ) -> None:
        self._task = task
        self._table = optimizer
        self._seed = run.seed
        self._device = device
        split = task.split(run.seed, build_generator(run.seed, DATA_STREAM))
        self._train = population.at(split.train).to(device)
        self._test = population.at(split.test).to(device)
        self._model = build_scaled_model(task, run).to(device)
        self._optimizer = build_optimizer(self._model.parameters(), optimizer)
        self._fixed_batches = tuple(self._cut(self._train))

    def train_epoch(self, epoch: int, max_steps: int | None = None) -> torch.Tensor:
        """Takes the steps from epoch ``epoch - 1`` to ``epoch``, at most ``max_steps`` of them.

        Everything random in it comes from the seed and the epoch's number, never from what happened before.

        Returns:
            The sum over the steps of the loss before the step, a scalar: finite unless one of them was not.
        """
        self._model.train()
        _seed_layers(build_generator(self._seed, ORDER_STREAM, epoch, LAYER_NOISE).initial_seed(), self._device)
        total = torch.zeros((), device=self._device)
        with flushed_denormals():
            for inputs, targets in itertools.islice(self._batches(epoch), max_steps):
                self._optimizer.zero_grad()
                loss = self._task.loss(self._model(inputs), targets)
                loss.backward()
                self._optimizer.step()
                total += loss.detach()
        return total

    def evaluate(self, epoch: int) -> dict[str, float]:
        """Returns the row of the history: loss and accuracy over the whole splits at the present parameters."""
        self._model.eval()
        with flushed_denormals():
            train = evaluate(self._task, self._model, self._train)
            test = evaluate(self._task, self._model, self._test)
        return build_row(epoch, train, test)

    @property
    def num_steps(self) -> int:
        """Number of steps of an epoch."""
        return len(self._fixed_batches)

    @property
    def has_test(self) -> bool:
        """Whether there is a test split."""
        return len(self._test) > 0

    def parameters(self) -> dict[str, torch.Tensor]:
        """Returns a copy of the network's state dict."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self._model.state_dict().items()}

    def state(self) -> dict[str, torch.Tensor]:
        """Returns a copy of everything that the next epoch depends on: the network and the optimizer's moments."""
        tensors = {MODEL_PREFIX + name: tensor for name, tensor in self.parameters().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"{OPTIMIZER_PREFIX}{index}.{name}": moment.cpu().clone() for name, moment in moments.items()}
        return tensors

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Takes over what :meth:`state` returned."""
        model = {
            key.removeprefix(MODEL_PREFIX): value for key, value in tensors.items() if key.startswith(MODEL_PREFIX)
        }
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key in tensors.keys() - {MODEL_PREFIX + name for name in model}:
            index, _, name = key.removeprefix(OPTIMIZER_PREFIX).partition(".")
            moments.setdefault(int(index), {})[name] = tensors[key]
        self._model.load_state_dict(model)
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def _batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if not self._table.reshuffle:
            return iter(self._fixed_batches)
        order = torch.randperm(len(self._train), generator=build_generator(self._seed, ORDER_STREAM, epoch))
        return self._cut(self._train.at(order.to(self._device)))

    def _cut(self, samples: Samples) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        size = len(samples) if self._table.batch_size == "full" else self._table.batch_size
        return zip(samples.inputs.split(size), samples.targets.split(size), strict=True)


def _seed_layers(seed: int, device: torch.device) -> None:
    # not torch.manual_seed: for every back-end that is not in use it keeps the call and its stack, epoch after epoch
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def build_row(epoch: int, train: Evaluation, test: Evaluation) -> dict[str, float]:
    """Returns a row of the history."""
    return {
        names.EPOCH: epoch,
        names.TRAIN_LOSS: train.loss,
        names.TEST_LOSS: test.loss,
        names.TRAIN_ACCURACY: train.accuracy,
        names.TEST_ACCURACY: test.accuracy,
    }


def build_scaled_model(task: Task, run: RunCoordinates) -> torch.nn.Module:
    """Returns the network of ``task`` at its initial parameters: those of the seed, each times the init_scale."""
    model = task.build_model()
    task.initialise(model, build_generator(run.seed, INITIALISATION_STREAM))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(run.init_scale)
    return model


def build_optimizer(parameters: Iterable[torch.Tensor], table: OptimizerTable) -> torch.optim.Optimizer:
    """Returns the optimizer of ``table`` over ``parameters``, which it changes element by element.

    With the gradient g of the mean loss over the batch: ``adam`` and ``sgd`` use g + weight_decay · θ (coupled L2, so
    that Adam's moments contain the decay), ``adamw`` also subtracts lr · weight_decay · θ, but apart from the moments.
    Adam's β are 0.9 and 0.999 and its ε is 1e-8, added to the root; ``sgd`` has no momentum.
    """
    classes = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    return classes[table.name](parameters, lr=table.lr, weight_decay=table.weight_decay, fused=True)
