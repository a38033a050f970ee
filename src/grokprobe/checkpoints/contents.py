"""What one checkpoint file holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from grokprobe.checkpoints.stored_tensors import LazyTensor, Mapped


class ParameterTensors(Mapping[str, torch.Tensor]):
    """Tensors by name, each read when it is first asked for and then kept; lengths are known without reading any."""

    def __init__(self, tensors: Mapping[str, torch.Tensor | LazyTensor]) -> None:
        self._tensors = dict(tensors)
        self._mapped: Mapped = {}

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor = self._tensors[name]
        if isinstance(tensor, LazyTensor):
            tensor = self._tensors[name] = tensor.read(self._mapped)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each by name."""
        return {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}


class MergedParameters(Mapping[str, torch.Tensor]):
    """The parameters of several files as one mapping; none is read before it is asked for."""

    def __init__(self, homes: Mapping[str, Mapping[str, torch.Tensor]], shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._homes = dict(homes)
        #: Shape of each by name.
        self.shapes = dict(shapes)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._homes[name][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointContent:
    """What one file holds. The tensors are mapped from the file where the format allows: they are valid while it is."""

    #: Every floating-point tensor by the file's own name, in the file's order.
    parameters: Mapping[str, torch.Tensor]
    #: Names of the tensors of other types (integer, boolean, complex, sparse).
    other_tensors: tuple[str, ...]
    #: The file's own ``epoch``, else None.
    epoch: int | None
    #: The file's own ``global_step`` or ``step``, else None.
    step: int | None
    #: ``"torch"``, ``"pickle"``, ``"safetensors"``, ``"numpy"``, ``"sharded"`` or ``"torch distributed"``.
    format: str
    #: Dotted key the state dict was found under; empty if the file is the state dict itself.
    wrapper: str
    #: Classes and functions that the file names and that were neither imported nor called.
    unread: tuple[str, ...] = ()
    #: Further files it consists of; empty for a checkpoint of one file.
    parts: tuple[Path, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter by name; reads no tensor."""
        if isinstance(self.parameters, ParameterTensors | MergedParameters):
            return self.parameters.shapes
        return {name: tuple(tensor.shape) for name, tensor in self.parameters.items()}
