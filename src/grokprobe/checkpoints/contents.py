"""What one checkpoint file holds."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from grokprobe.checkpoints.lazy_tensors import LazyTensor

#: What is known of a tensor that is not read.
Outline = torch.Tensor | LazyTensor


class UnreadParameters(Mapping[str, torch.Tensor]):
    """Tensors by name, each read at every access and not kept; shapes and types are known without reading any."""

    @property
    @abstractmethod
    def outlines(self) -> Mapping[str, Outline]:
        """By name what has the tensor's ``shape`` and ``dtype``."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.outlines)

    def __len__(self) -> int:
        return len(self.outlines)

    def __contains__(self, name: object) -> bool:
        return name in self.outlines  # a Mapping would take the tensor out to see


class ParameterTensors(UnreadParameters):
    """The parameters of one file."""

    def __init__(self, tensors: Mapping[str, Outline]) -> None:
        self._tensors = dict(tensors)

    @property
    def outlines(self) -> Mapping[str, Outline]:
        """The tensors as they are described."""
        return self._tensors

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor = self._tensors[name]
        return tensor.read() if isinstance(tensor, LazyTensor) else tensor


class MergedParameters(UnreadParameters):
    """The parameters of several files as one mapping."""

    def __init__(self, homes: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
        """Takes by name of a tensor the mapping in which it is."""
        self._homes = dict(homes)
        outlines = {id(home): outlines_of(home) for home in self._homes.values()}
        self._outlines = {name: outlines[id(home)][name] for name, home in self._homes.items()}

    @property
    def outlines(self) -> Mapping[str, Outline]:
        """The tensors as their files describe them."""
        return self._outlines

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._homes[name][name]


def outlines_of(parameters: Mapping[str, torch.Tensor]) -> Mapping[str, Outline]:
    """Returns by name what has the tensor's ``shape`` and ``dtype``; reads no tensor of a file of this package."""
    return parameters.outlines if isinstance(parameters, UnreadParameters) else parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointContent:
    """What one file holds. A tensor is read when it is taken out of ``parameters``: the file has to stay until then."""

    #: Every floating-point tensor by the file's own name, in the file's order.
    parameters: Mapping[str, torch.Tensor]
    #: Names of the tensors of other types (integer, boolean, complex, sparse).
    other_tensors: tuple[str, ...] = ()
    #: The file's own ``epoch``, else None.
    epoch: int | None = None
    #: The file's own ``global_step`` or ``step``, else None.
    step: int | None = None
    #: ``"torch"``, ``"pickle"``, ``"safetensors"``, ``"numpy"``, ``"sharded"``, ``"torch distributed"``, or the name
    #: of the reader of a plugin.
    format: str
    #: Dotted key the state dict was found under; empty if the file is the state dict itself.
    wrapper: str = ""
    #: Classes and functions that the file names and that were neither imported nor called.
    unread: tuple[str, ...] = ()
    #: Further files it consists of; empty for a checkpoint of one file.
    parts: tuple[Path, ...] = ()
    #: Name and version of the reader of a plugin that has read it; empty if it was a built-in one.
    reader: str = ""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter by name; reads no tensor."""
        return {name: tuple(tensor.shape) for name, tensor in outlines_of(self.parameters).items()}

    @property
    def types(self) -> dict[str, torch.dtype]:
        """Element type of each parameter by name; reads no tensor."""
        return {name: tensor.dtype for name, tensor in outlines_of(self.parameters).items()}

    @property
    def num_bytes(self) -> int:
        """Number of bytes of all parameters together; reads no tensor."""
        outlines = outlines_of(self.parameters).values()
        return sum(math.prod(tensor.shape) * tensor.dtype.itemsize for tensor in outlines)
