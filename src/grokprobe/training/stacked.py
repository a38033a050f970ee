"""Many members in one computation."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import torch

from grokprobe.evaluation import EVALUATION_BATCH
from grokprobe.interfaces import Evaluation, RunCoordinates, Samples, StackedForm, Task
from grokprobe.numerics.streams import DATA_STREAM, ORDER_STREAM, build_generator
from grokprobe.training.arithmetic import flushed_denormals
from grokprobe.training.functional import FunctionalForm
from grokprobe.training.learner import MODEL_PREFIX, OPTIMIZER_PREFIX, build_row, build_scaled_model
from grokprobe.training.optimizer import STEP, StackedOptimizer
from grokprobe.training.recorded import Recorded
from grokprobe.training.tables import OptimizerTable


class StackedEnsemble:
    """The seeds and scales of a batch as stacked tensors, with one optimizer for all.

    Adam and gradient descent work element by element, so the stacked optimizer does to each member what its own would.
    A member that does not take part (its run is complete or has diverged) is computed all the same: what the others
    get does not depend on it.

    Between two evaluations, checkpoints or states nothing is read back from the device.
    """

    def __init__(
        self,
        task: Task,
        population: Samples,
        optimizers: Sequence[OptimizerTable],
        members: Sequence[RunCoordinates],
        device: torch.device,
    ) -> None:
        """Builds the members before their first epoch.

        Args:
            task: the task, with its options bound.
            population: its population.
            optimizers: one for each member; they differ in learning rate and weight decay only.
            members: equally many of every seed, those of a seed side by side.
            device: where to compute.
        """
        self._table = optimizers[0]
        self._device = device
        self._seeds = list(dict.fromkeys(member.seed for member in members))
        self._num_scales = len(members) // len(self._seeds)
        self._form: StackedForm = task.stacked_form() or FunctionalForm(task, device)
        splits = [task.split(seed, build_generator(seed, DATA_STREAM)) for seed in self._seeds]
        self._train = self._stack([population.at(split.train) for split in splits])
        self._test = self._stack([population.at(split.test) for split in splits])
        self._batches = self._cut(self._train)
        self._shuffled: Samples | None = None
        models = [dict(build_scaled_model(task, member).named_parameters()) for member in members]
        self._names = list(models[0])
        packed = [self._form.pack({name: tensor.detach() for name, tensor in model.items()}) for model in models]
        self._parameters = {name: torch.stack([one[name] for one in packed]).to(device) for name in packed[0]}
        self._gradients = {name: torch.zeros_like(tensor) for name, tensor in self._parameters.items()}
        self._optimizer = StackedOptimizer(optimizers, self._parameters)
        self._on_host: dict[int, torch.Tensor] = {}
        self._epoch_of_steps = Recorded(self._take_steps, device)
        self._evaluation: Callable[[], torch.Tensor] = self._evaluate
        if not isinstance(self._form, FunctionalForm):  # which asks the task for an int, member by member
            self._evaluation = Recorded(self._evaluate, device)

    def train_epoch(self, epoch: int, max_steps: int | None = None) -> torch.Tensor:
        """Trains every member."""
        if self._table.reshuffle:
            self._reshuffle(epoch)
        self._on_host = {}
        with torch.no_grad(), flushed_denormals():
            return self._epoch_of_steps().clone() if max_steps is None else self._take_steps(max_steps)

    @torch.no_grad()
    def evaluate(self, epoch: int) -> Sequence[dict[str, float]]:
        """Evaluates every member."""
        with flushed_denormals():
            sums = self._evaluation().tolist()
        sizes = self._train.targets.shape[1], self._test.targets.shape[1]
        rows = []
        for of_train, of_test in zip(*sums, strict=True):
            pairs = zip((of_train, of_test), sizes, strict=True)
            rows.append(build_row(epoch, *(_divide(total, size) for total, size in pairs)))
        return rows

    @property
    def num_steps(self) -> int:
        """Number of steps of an epoch."""
        return len(self._batches)

    @property
    def has_test(self) -> bool:
        """Whether there is a test split."""
        return self._test.targets.shape[1] > 0

    def parameters(self, member: int) -> dict[str, torch.Tensor]:
        """Returns a copy of a member's parameters by the network's names, on the CPU."""
        return self._unpack(self._parameters, member)

    def state(self, member: int) -> dict[str, torch.Tensor]:
        """Returns a copy of a member's parameters and moments, named as a learner of its own would name them."""
        tensors = {MODEL_PREFIX + name: tensor for name, tensor in self.parameters(member).items()}
        found = {key: self._unpack(moments, member) for key, moments in self._optimizer.moments().items()}
        if self._optimizer.num_steps is not None:
            found[STEP] = {name: self._optimizer.num_steps.cpu().clone() for name in self._names}
        for key, values in found.items():
            tensors |= {f"{OPTIMIZER_PREFIX}{index}.{key}": values[name] for index, name in enumerate(self._names)}
        return tensors

    def load_state(self, member: int, tensors: Mapping[str, torch.Tensor]) -> None:
        """Takes over what :meth:`state` returned."""
        self._fill(self._parameters, member, {name: tensors[MODEL_PREFIX + name] for name in self._names})
        for key, moments in self._optimizer.moments().items():
            values = {name: tensors[f"{OPTIMIZER_PREFIX}{index}.{key}"] for index, name in enumerate(self._names)}
            self._fill(moments, member, values)
        if self._optimizer.num_steps is not None:
            self._optimizer.set_num_steps(tensors[f"{OPTIMIZER_PREFIX}0.{STEP}"])

    @torch.no_grad()
    def _fill(self, stacked: Mapping[str, torch.Tensor], member: int, values: Mapping[str, torch.Tensor]) -> None:
        self._on_host = {}
        for name, tensor in self._form.pack(values).items():
            stacked[name][member] = tensor

    def _unpack(self, stacked: Mapping[str, torch.Tensor], member: int) -> dict[str, torch.Tensor]:
        """Returns a member's tensors as the network has them. All members' cross to the host in one transfer."""
        for tensor in stacked.values():
            if id(tensor) not in self._on_host:
                self._on_host[id(tensor)] = tensor.detach().cpu()
        found = self._form.unpack({name: self._on_host[id(tensor)][member] for name, tensor in stacked.items()})
        return {name: found[name].clone() for name in self._names}

    def _stack(self, samples: Sequence[Samples]) -> Samples:
        """Returns the samples of all seeds, encoded, with a first axis for the seed."""
        here = [one.to(self._device) for one in samples]
        return Samples(
            inputs=torch.stack([self._form.encode(one.inputs) for one in here]),
            targets=torch.stack([one.targets for one in here]),
        )

    def _take_steps(self, max_steps: int | None = None) -> torch.Tensor:
        totals = torch.zeros(len(self._seeds) * self._num_scales, device=self._device)
        for inputs, targets in itertools.islice(self._batches, max_steps):
            totals += self._form.compute_gradients(self._parameters, inputs, targets, self._gradients)
            self._optimizer.step(self._gradients)
        return totals

    def _cut(self, samples: Samples) -> list[tuple[torch.Tensor, torch.Tensor]]:
        size = samples.targets.shape[1] if self._table.batch_size == "full" else self._table.batch_size
        return list(zip(samples.inputs.split(size, dim=1), samples.targets.split(size, dim=1), strict=True))

    def _reshuffle(self, epoch: int) -> None:
        """Writes the samples in the epoch's order into the tensors that the batches are views of."""
        if self._shuffled is None:
            self._shuffled = Samples(inputs=self._train.inputs.clone(), targets=self._train.targets.clone())
            self._batches = self._cut(self._shuffled)
        for number, seed in enumerate(self._seeds):
            order = torch.randperm(self._train.targets.shape[1], generator=build_generator(seed, ORDER_STREAM, epoch))
            ours = self._train.inputs[number], self._train.targets[number]
            ordered = self._shuffled.inputs[number], self._shuffled.targets[number]
            for source, target in zip(ours, ordered, strict=True):
                torch.index_select(source, 0, order.to(self._device), out=target)

    def _evaluate(self) -> torch.Tensor:
        """Returns sums of loss and numbers of correct samples, shape (2 splits, num_members, 2), float64."""
        return torch.stack([self._add_up(self._train), self._add_up(self._test)])

    def _add_up(self, samples: Samples) -> torch.Tensor:
        num_members = len(self._seeds) * self._num_scales
        totals = torch.zeros(num_members, 2, dtype=torch.float64, device=self._device)
        for start in range(0, samples.targets.shape[1], EVALUATION_BATCH):
            batch = slice(start, start + EVALUATION_BATCH)
            found = self._form.evaluate(self._parameters, samples.inputs[:, batch], samples.targets[:, batch])
            totals += torch.stack([one.double() for one in found], dim=1)
        return totals


def _divide(sums: Sequence[float], num_samples: int) -> Evaluation:
    """Returns the means over a split; both NaN where it is empty."""
    if num_samples == 0:
        return Evaluation(float("nan"), float("nan"))
    return Evaluation(sums[0] / num_samples, sums[1] / num_samples)
