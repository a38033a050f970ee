"""Whether a measure leaves what it is given as it was."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from grokprobe.testing.conformance import require
from grokprobe.testing.context import FixedContext


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    tensor: torch.Tensor
    copy: torch.Tensor
    version: int
    requires_grad: bool


class Snapshot:
    """Remembers every tensor of a context, and of further mappings, and compares."""

    def __init__(self, context: FixedContext, *further: Mapping[str, torch.Tensor]) -> None:
        self._mappings = [*_mappings_of(context), *further]
        self._before = [{name: _remember(tensor) for name, tensor in mapping.items()} for mapping in self._mappings]

    def require_unchanged(self) -> None:
        """Raises unless every tensor is the same object, with the same values, never written to since.

        Raises:
            ConformanceError: something was modified.
        """
        law = "does not modify the context"
        for mapping, memories in zip(self._mappings, self._before, strict=True):
            require(
                list(mapping) == list(memories), law, f"tensors {sorted(set(mapping) ^ set(memories))} came or went"
            )
            for name, memory in memories.items():
                require(mapping[name] is memory.tensor, law, f"{name} was replaced")
                require(equal_values(memory.tensor, memory.copy), law, f"the values of {name} changed")
                require(_version(memory.tensor) == memory.version, law, f"{name} was written to in place")
                require(memory.tensor.requires_grad == memory.requires_grad, law, f"requires_grad of {name} changed")


def equal_values(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors agree in shape, type and every value, NaN equal to NaN."""
    same_kind = a.shape == b.shape and a.dtype == b.dtype
    return same_kind and bool(((a == b) | ((a != a) & (b != b))).all())  # noqa: PLR0124 - the test for NaN


def _mappings_of(context: FixedContext) -> list[Mapping[str, torch.Tensor]]:
    checkpoints = [context.parameters, context.previous, context.next, context.first, context.last, context.other]
    mappings = [parameters for parameters in checkpoints if parameters is not None]
    splits = [samples for samples in (context.train_samples, context.test_samples) if samples is not None]
    mappings.extend({"inputs": samples.inputs, "targets": samples.targets} for samples in splits)
    if context.model is not None:
        mappings.append(dict(context.model.state_dict(keep_vars=True)))
    return mappings


def _remember(tensor: torch.Tensor) -> _Memory:
    return _Memory(
        tensor=tensor, copy=tensor.detach().clone(), version=_version(tensor), requires_grad=tensor.requires_grad
    )


def _version(tensor: torch.Tensor) -> int:
    return tensor._version  # noqa: SLF001 - the only counter of in-place writes there is
