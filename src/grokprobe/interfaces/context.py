"""What a measure may see: one checkpoint and its surroundings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from grokprobe.interfaces.task import Task
from grokprobe.numerics.layer_trace import LayerTrace
from grokprobe.requirements import Requirement
from grokprobe.samples import Evaluation, Samples

#: Parameters of a network by name, as in a state dict.
Parameters = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is known about a run before any measure runs."""

    #: The task, or None for checkpoints of unknown origin.
    task: Task | None
    #: Shape of every floating-point tensor of the checkpoints.
    shapes: Mapping[str, tuple[int, ...]]
    #: Tensors that are buffers and no weights: bit for bit the same in every checkpoint of the run, or running
    #: statistics of a normalisation.
    constant: frozenset[str]
    #: Requirements that can be met.
    available: frozenset[Requirement]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCoordinates:
    """Where a run stands in the dataset."""

    #: The seed.
    seed: int
    #: The initialisation scale.
    init_scale: float


class Context(Protocol):
    """Everything a measure may see of one checkpoint. A measure does not modify it."""

    @property
    def subject(self) -> Subject:
        """What is known about the run."""
        ...

    @property
    def run(self) -> RunCoordinates:
        """Coordinates of the run."""
        ...

    @property
    def epoch(self) -> int:
        """Epoch of the checkpoint, in the run's own unit (epochs or steps)."""
        ...

    @property
    def parameters(self) -> Parameters:
        """Floating-point tensors of the checkpoint, on :attr:`device`, by the file's own names."""
        ...

    def at(self, parameters: Parameters) -> "Context":
        """Returns this context at other parameters of the same names, shapes and types."""
        ...

    @property
    def previous(self) -> Parameters | None:
        """Parameters of the stored checkpoint before this one, loaded on access; None at the first."""
        ...

    @property
    def next(self) -> Parameters | None:
        """Parameters of the stored checkpoint after this one, loaded on access; None at the last."""
        ...

    def neighbour(self, offset: int) -> Parameters | None:
        """Returns the parameters ``offset`` stored checkpoints after this one (before, if negative).

        None beyond the ends of the run. :attr:`previous` and :attr:`next` are those at −1 and 1. A probe looks no
        further: only these two count among its inputs, so that it is measured again where they change.
        """
        ...

    def neighbour_epoch(self, offset: int) -> int | None:
        """Returns the epoch of :meth:`neighbour`; None beyond the ends of the run."""
        ...

    @property
    def initial(self) -> Parameters:
        """Parameters of the run's first stored checkpoint that can be read, loaded on access."""
        ...

    @property
    def final(self) -> Parameters:
        """Parameters of the run's last stored checkpoint that can be read, loaded on access."""
        ...

    @property
    def reference(self) -> Parameters:
        """Parameters of the checkpoint that the user declared as reference, by the names of :attr:`parameters`."""
        ...

    def apply(self, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the network's outputs at ``parameters`` (named as in :attr:`parameters`), in evaluation mode."""
        ...

    def pre_activations(self, parameters: Parameters, inputs: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Returns what every linear and convolution layer gives, before any nonlinearity or pooling.

        The order is that of execution. The key is the layer's label: the name of its weight in :attr:`parameters`
        without a trailing ``.weight``; a layer that is used again gives ``label#2`` and so on. The network is in
        evaluation mode.
        """
        ...

    def trace(self, parameters: Parameters, inputs: torch.Tensor) -> LayerTrace:
        """Returns the outputs of :meth:`apply` with their graph, and what its linear and convolution layers were given.

        With it, :mod:`grokprobe.numerics.fisher` takes a Context as the network to differentiate.
        """
        ...

    def evaluate(self, parameters: Parameters, samples: Samples) -> Evaluation:
        """Returns the task's mean loss and accuracy over ``samples`` at ``parameters``.

        The network may be computed in a faster form than that of :meth:`apply`, equal to it to rounding.
        """
        ...

    @property
    def train(self) -> Samples:
        """The training samples, on :attr:`device`."""
        ...

    @property
    def test(self) -> Samples:
        """The test samples, on :attr:`device`."""
        ...

    @property
    def options(self) -> Any:
        """Validated options of the measure that is running."""
        ...

    @property
    def generator(self) -> torch.Generator:
        """A generator seeded by the measure, its options, the run and the epoch: fresh at every access.

        An option that only bounds the memory is declared with ``Field(repr=False)``: it is no part of the seed.
        """
        ...

    @property
    def device(self) -> torch.device:
        """Where to compute."""
        ...
