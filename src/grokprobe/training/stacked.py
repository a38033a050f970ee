"""Many members in one computation."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import torch

from grokprobe.evaluation import EVALUATION_BATCH, Evaluation, RunningEvaluation
from grokprobe.interfaces import RunCoordinates, Samples, StackedForm, Task
from grokprobe.numerics.streams import DATA_STREAM, ORDER_STREAM, build_generator
from grokprobe.training.arithmetic import flushed_denormals
from grokprobe.training.functional import FunctionalForm
from grokprobe.training.learner import MODEL_PREFIX, OPTIMIZER_PREFIX, build_row, build_scaled_model
from grokprobe.training.optimizer import STEP, StackedOptimizer
from grokprobe.training.tables import OptimizerTable


class StackedEnsemble:
    """The seeds and scales of a batch as stacked tensors, with one optimizer for all.

    Adam and gradient descent work element by element, so the stacked optimizer does to each member what its own would.
    A member that does not take part (its run is complete or has diverged) is computed all the same: what the others
    get does not depend on it.
    """

    def __init__(
        self,
        task: Task,
        population: Samples,
        optimizer: OptimizerTable,
        members: Sequence[RunCoordinates],
        device: torch.device,
    ) -> None:
        self._task = task
        self._table = optimizer
        self._device = device
        self._seeds = list(dict.fromkeys(member.seed for member in members))
        self._num_scales = len(members) // len(self._seeds)
        self._form: StackedForm = task.stacked_form() or FunctionalForm(task, device)
        splits = [task.split(seed, build_generator(seed, DATA_STREAM)) for seed in self._seeds]
        self._train = self._stack([population.at(split.train) for split in splits])
        self._test = self._stack([population.at(split.test) for split in splits])
        models = [dict(build_scaled_model(task, member).named_parameters()) for member in members]
        self._names = list(models[0])
        packed = [self._form.pack({name: tensor.detach() for name, tensor in model.items()}) for model in models]
        self._parameters = {name: torch.stack([one[name] for one in packed]).to(device) for name in packed[0]}
        self._gradients = {name: torch.zeros_like(tensor) for name, tensor in self._parameters.items()}
        self._optimizer = StackedOptimizer(optimizer, self._parameters)

    def train_epoch(self, epoch: int, max_steps: int | None = None) -> Sequence[float]:
        """Trains every member."""
        totals = torch.zeros(len(self._seeds) * self._num_scales, device=self._device)
        with torch.no_grad(), flushed_denormals():
            for inputs, targets in itertools.islice(self._batches(epoch), max_steps):
                totals += self._form.compute_gradients(self._parameters, inputs, targets, self._gradients)
                self._optimizer.step(self._gradients)
            return totals.tolist()

    @torch.inference_mode()
    def evaluate(self, epoch: int) -> Sequence[dict[str, float]]:
        """Evaluates every member."""
        with flushed_denormals():
            train, test = self._evaluate(self._train), self._evaluate(self._test)
        return [build_row(epoch, *evaluations) for evaluations in zip(train, test, strict=True)]

    @property
    def num_steps(self) -> int:
        """Number of steps of an epoch."""
        return -(-self._train.targets.shape[1] // self._batch_size)

    @property
    def has_test(self) -> bool:
        """Whether there is a test split."""
        return self._test.targets.shape[1] > 0

    def parameters(self, member: int) -> dict[str, torch.Tensor]:
        """Returns a copy of a member's parameters by the network's names, on the CPU."""
        return self._unpack({name: tensor[member] for name, tensor in self._parameters.items()})

    def state(self, member: int) -> dict[str, torch.Tensor]:
        """Returns a copy of a member's parameters and moments, named as a learner of its own would name them."""
        tensors = {MODEL_PREFIX + name: tensor for name, tensor in self.parameters(member).items()}
        found = {
            key: self._unpack({name: moment[member] for name, moment in moments.items()})
            for key, moments in self._optimizer.moments().items()
        }
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
        for name, tensor in self._form.pack(values).items():
            stacked[name][member] = tensor

    def _unpack(self, packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        found = self._form.unpack({name: tensor.detach().cpu() for name, tensor in packed.items()})
        return {name: found[name].clone() for name in self._names}

    def _stack(self, samples: Sequence[Samples]) -> Samples:
        """Returns the samples of all seeds, encoded, with a first axis for the seed."""
        here = [one.to(self._device) for one in samples]
        return Samples(
            inputs=torch.stack([self._form.encode(one.inputs) for one in here]),
            targets=torch.stack([one.targets for one in here]),
        )

    def _batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        inputs, targets = self._train.inputs, self._train.targets
        num_samples = targets.shape[1]
        if self._table.reshuffle:
            orders = [
                torch.randperm(num_samples, generator=build_generator(seed, ORDER_STREAM, epoch)).to(self._device)
                for seed in self._seeds
            ]
            inputs = torch.stack([one[order] for one, order in zip(inputs, orders, strict=True)])
            targets = torch.stack([one[order] for one, order in zip(targets, orders, strict=True)])
        return zip(inputs.split(self._batch_size, dim=1), targets.split(self._batch_size, dim=1), strict=True)

    @property
    def _batch_size(self) -> int:
        return self._train.targets.shape[1] if self._table.batch_size == "full" else self._table.batch_size

    def _evaluate(self, samples: Samples) -> list[Evaluation]:
        running = [RunningEvaluation() for _ in range(len(self._seeds) * self._num_scales)]
        for start in range(0, samples.targets.shape[1], EVALUATION_BATCH):
            batch = slice(start, start + EVALUATION_BATCH)
            outputs = self._form.compute_outputs(self._parameters, samples.inputs[:, batch])
            for member, (own, evaluation) in enumerate(zip(outputs, running, strict=True)):
                evaluation.add(self._task, own, samples.targets[member // self._num_scales, batch])
        return [evaluation.result() for evaluation in running]
