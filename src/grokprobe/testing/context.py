"""A Context held in memory, for tests."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from grokprobe.context import Network
from grokprobe.evaluation import evaluate
from grokprobe.interfaces import Evaluation, Parameters, Requirement, RunCoordinates, Samples, Subject, Task
from grokprobe.numerics.layer_trace import LayerTrace
from grokprobe.numerics.streams import build_generator
from grokprobe.testing.conformance import ConformanceError


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedContext:
    """Implements :class:`grokprobe.interfaces.Context` from values given once.

    Its subject says that exactly what was given is available. What was not given raises :class:`ConformanceError` on
    access: a measure that reaches for it has not declared it in ``requires``.
    """

    #: Parameters of the checkpoint.
    parameters: Parameters
    #: Options of the measure; the checks fill in the defaults where it is None.
    options: Any = None
    #: The task, or None.
    task: Task | None = None
    #: The network behind :meth:`apply`, with the same parameter names; put into evaluation mode.
    model: torch.nn.Module | None = None
    #: Training samples.
    train_samples: Samples | None = None
    #: Test samples.
    test_samples: Samples | None = None
    #: Parameters of the checkpoint before this one.
    previous: Parameters | None = None
    #: Parameters of the checkpoint after this one.
    next: Parameters | None = None
    #: Parameters of the first checkpoint.
    first: Parameters | None = None
    #: Parameters of the last checkpoint.
    last: Parameters | None = None
    #: Parameters of the declared reference checkpoint.
    other: Parameters | None = None
    #: Tensors that are the same in every checkpoint of the run.
    constant: frozenset[str] = frozenset()
    #: Coordinates of the run.
    run: RunCoordinates = field(default_factory=lambda: RunCoordinates(seed=0, init_scale=1.0))
    #: Epoch of the checkpoint.
    epoch: int = 0

    @property
    def subject(self) -> Subject:
        """What is known about the run: what was given."""
        given = {
            Requirement.WEIGHTS: True,
            Requirement.MODEL: self.model is not None,
            Requirement.TRAIN_SPLIT: self.train_samples is not None,
            Requirement.TEST_SPLIT: self.test_samples is not None,
            Requirement.NEIGHBOURS: self.previous is not None or self.next is not None,
            Requirement.INITIAL: self.first is not None,
            Requirement.FINAL: self.last is not None,
            Requirement.OTHER_RUN: self.other is not None,
        }
        return Subject(
            task=self.task,
            shapes={name: tuple(tensor.shape) for name, tensor in self.parameters.items()},
            constant=self.constant,
            available=frozenset(requirement for requirement, is_given in given.items() if is_given),
        )

    def at(self, parameters: Parameters) -> "FixedContext":
        """Returns this context at other parameters."""
        return dataclasses.replace(self, parameters=parameters)

    def neighbour(self, offset: int) -> Parameters | None:
        """Returns the checkpoint itself or one of the two beside it; nothing further away was given."""
        return {-1: self.previous, 0: self.parameters, 1: self.next}.get(offset)

    def neighbour_epoch(self, offset: int) -> int | None:
        """Returns the epoch of a neighbour; they follow each other by one."""
        return None if self.neighbour(offset) is None else self.epoch + offset

    @property
    def initial(self) -> Parameters:
        """Parameters of the run's first checkpoint."""
        if self.first is None:
            raise _absent("first", Requirement.INITIAL)
        return self.first

    @property
    def final(self) -> Parameters:
        """Parameters of the run's last checkpoint."""
        if self.last is None:
            raise _absent("last", Requirement.FINAL)
        return self.last

    @property
    def reference(self) -> Parameters:
        """Parameters of the declared reference checkpoint."""
        if self.other is None:
            raise _absent("other", Requirement.OTHER_RUN)
        return self.other

    @property
    def train(self) -> Samples:
        """The training samples."""
        if self.train_samples is None:
            raise _absent("train_samples", Requirement.TRAIN_SPLIT)
        return self.train_samples

    @property
    def test(self) -> Samples:
        """The test samples."""
        if self.test_samples is None:
            raise _absent("test_samples", Requirement.TEST_SPLIT)
        return self.test_samples

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(iter(self.parameters.values())).device

    @property
    def generator(self) -> torch.Generator:
        """A fresh generator seeded by the run and the epoch."""
        return build_generator(self.run.seed, self.epoch)

    def apply(self, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the network's outputs at ``parameters``, in evaluation mode."""
        return self._network().apply(parameters, inputs)

    def pre_activations(self, parameters: Parameters, inputs: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Returns what every linear and convolution layer gives, in evaluation mode."""
        return self._network().pre_activations(parameters, inputs)

    def trace(self, parameters: Parameters, inputs: torch.Tensor) -> LayerTrace:
        """Returns the network's outputs with their graph, and what its layers were given, in evaluation mode."""
        return self._network().trace(parameters, inputs)

    def evaluate(self, parameters: Parameters, samples: Samples) -> Evaluation:
        """Returns the task's mean loss and accuracy over ``samples``."""
        if self.task is None:
            raise ConformanceError("applies says no without a task: it is used; give FixedContext task=")
        return evaluate(self.task, lambda inputs: self.apply(parameters, inputs), samples)

    def _network(self) -> Network:
        if self.model is None:
            raise _absent("model", Requirement.MODEL)
        return Network(module=self.model.eval(), mapping={name: name for name in self.parameters})

    def with_options(self, options: Any) -> "FixedContext":
        """Returns this context for other options."""
        return dataclasses.replace(self, options=options)

    def with_requirements(self, requires: frozenset[Requirement]) -> "FixedContext":
        """Returns this context without what is not in ``requires``; an access to it then raises or finds None."""
        withheld = {
            Requirement.MODEL: {"model": None},
            Requirement.TRAIN_SPLIT: {"train_samples": None},
            Requirement.TEST_SPLIT: {"test_samples": None},
            Requirement.NEIGHBOURS: {"previous": None, "next": None},
            Requirement.INITIAL: {"first": None},
            Requirement.FINAL: {"last": None},
            Requirement.OTHER_RUN: {"other": None},
        }
        changes = {key: None for need, fields in withheld.items() if need not in requires for key in fields}
        return dataclasses.replace(self, **changes)

    def at_other_parameters(self) -> "FixedContext":
        """Returns the context of another checkpoint of the same run, with other values at the same shapes."""
        generator = build_generator(self.run.seed, self.epoch, 1)
        others = {
            name: tensor + torch.randn(tensor.shape, generator=generator).to(tensor)
            for name, tensor in self.parameters.items()
        }
        return dataclasses.replace(self, parameters=others, epoch=self.epoch + 1)


def _absent(field: str, requirement: Requirement) -> ConformanceError:
    return ConformanceError(
        f"requires declares what is used: {requirement.name} is used;"
        f" declare it in `requires`, and give FixedContext {field}="
    )
