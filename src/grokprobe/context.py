"""The Context of one checkpoint: its parameters, its neighbours, its network and its data."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

import torch

from grokprobe.errors import UsageError
from grokprobe.evaluation import FormEvaluator, evaluate
from grokprobe.interfaces import Evaluation, Parameters, RunCoordinates, Samples, Subject
from grokprobe.numerics.layer_trace import LayerTrace, call_module, trace_layers
from grokprobe.numerics.layers import layer_label
from grokprobe.numerics.streams import build_generator

Known = TypeVar("Known")

#: Modules whose outputs are pre-activations.
AFFINE_LAYERS: Final = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network whose parameters a checkpoint can be put into."""

    #: The module, in evaluation mode.
    module: torch.nn.Module
    #: The network's own parameter names → the checkpoint's.
    mapping: Mapping[str, str]

    def apply(self, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the outputs at ``parameters``, which are named as in the checkpoint; buffers are constants."""
        return call_module(self.module, self.mapping, parameters, inputs)

    def trace(self, parameters: Parameters, inputs: torch.Tensor) -> LayerTrace:
        """Returns the outputs with their graph, and what the linear and convolution layers were given."""
        return trace_layers(self.module, self.mapping, parameters, inputs)

    def pre_activations(self, parameters: Parameters, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns the output of every linear and convolution layer, in order of execution, by the layer's label."""
        found: dict[str, torch.Tensor] = {}

        def keep(label: str) -> Callable[[torch.nn.Module, Any, torch.Tensor], None]:
            def hook(module: torch.nn.Module, arguments: Any, outputs: torch.Tensor) -> None:
                del module, arguments
                num_uses = sum(key.partition("#")[0] == label for key in found)
                found[f"{label}#{num_uses + 1}" if num_uses else label] = outputs.detach()

            return hook

        layers = {name: layer for name, layer in self.module.named_modules() if isinstance(layer, AFFINE_LAYERS)}
        handles = [layer.register_forward_hook(keep(self._label(name, parameters))) for name, layer in layers.items()]
        try:
            self.apply(parameters, inputs)
        finally:
            for handle in handles:
                handle.remove()
        return found

    def _label(self, layer: str, parameters: Parameters) -> str:
        """Returns the label of a layer; that of the module where its weight is no parameter but computed from some."""
        weight = f"{layer}.weight" if layer else "weight"
        return layer_label(self.mapping[weight], parameters) if weight in self.mapping else layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the checkpoints of one run share."""

    #: What is known about the run.
    subject: Subject
    #: Coordinates of the run.
    run: RunCoordinates
    #: Stored epochs of the run, ascending.
    epochs: tuple[int, ...]
    #: The first and the last epoch whose checkpoint can be read; those of all if None.
    ends: tuple[int, int] | None = None
    #: Loads the parameters of an epoch onto the device.
    load: Callable[[int], Parameters]
    #: Builds the network on first use; None where none is known.
    network: Callable[[], Network] | None
    #: Builds training and test samples on first use; None where the split is unknown.
    samples: Callable[[], tuple[Samples, Samples]] | None
    #: Loads the declared reference checkpoint onto the device; None where none is declared.
    reference: Callable[[], Parameters] | None = None
    #: Builds what evaluates the network on these samples faster than it does itself; None where nothing does.
    evaluator: Callable[[], FormEvaluator | None] | None = None
    #: Where to compute.
    device: torch.device


class CheckpointContext:
    """Implements :class:`grokprobe.interfaces.Context` for a stored checkpoint and one measure."""

    def __init__(
        self,
        surroundings: Surroundings,
        epoch: int,
        measure: tuple[str, str],
        options: Any,
        parameters: Parameters | None = None,
    ) -> None:
        """Binds the context; loads nothing.

        Args:
            surroundings: what the run shares.
            epoch: a stored epoch.
            measure: name and version of the measure, which seed its generator.
            options: its validated options.
            parameters: stand in for those of the checkpoint.
        """
        self._surroundings = surroundings
        self._epoch = epoch
        self._measure = measure
        self._options = options
        self._parameters = parameters

    @property
    def subject(self) -> Subject:
        """What is known about the run."""
        return self._surroundings.subject

    @property
    def run(self) -> RunCoordinates:
        """Coordinates of the run."""
        return self._surroundings.run

    @property
    def epoch(self) -> int:
        """Epoch of the checkpoint."""
        return self._epoch

    @property
    def options(self) -> Any:
        """Validated options of the measure."""
        return self._options

    @property
    def device(self) -> torch.device:
        """Where to compute."""
        return self._surroundings.device

    @property
    def parameters(self) -> Parameters:
        """Parameters of this checkpoint, or those put in their place."""
        return self._load(self._epoch) if self._parameters is None else self._parameters

    def at(self, parameters: Parameters) -> "CheckpointContext":
        """Returns this context at other parameters."""
        read_only = MappingProxyType(dict(parameters))
        return CheckpointContext(self._surroundings, self._epoch, self._measure, self._options, read_only)

    @property
    def previous(self) -> Parameters | None:
        """Parameters of the stored checkpoint before this one."""
        return self.neighbour(-1)

    @property
    def next(self) -> Parameters | None:
        """Parameters of the stored checkpoint after this one."""
        return self.neighbour(+1)

    def neighbour(self, offset: int) -> Parameters | None:
        """Returns the parameters ``offset`` stored checkpoints further on."""
        epoch = self.neighbour_epoch(offset)
        return None if epoch is None else self._load(epoch)

    def neighbour_epoch(self, offset: int) -> int | None:
        """Returns the epoch ``offset`` stored checkpoints further on."""
        position = self._surroundings.epochs.index(self._epoch) + offset
        return self._surroundings.epochs[position] if 0 <= position < len(self._surroundings.epochs) else None

    @property
    def initial(self) -> Parameters:
        """Parameters of the first stored checkpoint that can be read."""
        return self._load((self._surroundings.ends or self._surroundings.epochs)[0])

    @property
    def final(self) -> Parameters:
        """Parameters of the last stored checkpoint that can be read."""
        return self._load((self._surroundings.ends or self._surroundings.epochs)[-1])

    @property
    def reference(self) -> Parameters:
        """Parameters of the declared reference checkpoint."""
        return MappingProxyType(_known(self._surroundings.reference, "a reference checkpoint")())

    @property
    def train(self) -> Samples:
        """The training samples."""
        return _known(self._surroundings.samples, "a training split")()[0]

    @property
    def test(self) -> Samples:
        """The test samples."""
        return _known(self._surroundings.samples, "a test split")()[1]

    def apply(self, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the network's outputs at ``parameters``."""
        return _known(self._surroundings.network, "a model")().apply(parameters, inputs)

    def pre_activations(self, parameters: Parameters, inputs: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Returns what every linear and convolution layer gives."""
        return _known(self._surroundings.network, "a model")().pre_activations(parameters, inputs)

    def trace(self, parameters: Parameters, inputs: torch.Tensor) -> LayerTrace:
        """Returns the network's outputs with their graph, and what its layers were given."""
        return _known(self._surroundings.network, "a model")().trace(parameters, inputs)

    def evaluate(self, parameters: Parameters, samples: Samples) -> Evaluation:
        """Returns the task's mean loss and accuracy over ``samples`` at ``parameters``."""
        task = _known(self.subject.task, "a task")
        evaluator = None if self._surroundings.evaluator is None else self._surroundings.evaluator()
        if evaluator is not None and evaluator.takes(samples):
            return evaluator.evaluate(parameters, samples)
        return evaluate(task, lambda inputs: self.apply(parameters, inputs), samples)

    @property
    def generator(self) -> torch.Generator:
        """A fresh generator seeded by the measure, its options, the run and the epoch."""
        key = repr((self._measure, self._options, self.run.init_scale, self._epoch))
        words = hashlib.sha256(key.encode()).digest()[:8]
        return build_generator(self.run.seed, int.from_bytes(words[:4], "big"), int.from_bytes(words[4:], "big"))

    def _load(self, epoch: int) -> Parameters:
        return MappingProxyType(self._surroundings.load(epoch))


def _known(value: Known | None, what: str) -> Known:
    if value is None:
        raise UsageError(f"expected {what}, found none: the measure must declare it in `requires`")
    return value
