"""The named parameters inside whatever a training script saved."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from grokprobe.checkpoints.contents import ParameterTensors
from grokprobe.checkpoints.lazy_tensors import LazyTensor
from grokprobe.checkpoints.stored_tensors import AnyTensor, UnreadTensor, is_real_tensor
from grokprobe.errors import CorruptCheckpointError, NotACheckpointError
from grokprobe.inert_pickle import Global, Inert

#: Keys under which the state dict is looked for first, in this order.
WRAPPERS: Final = ("model_state_dict", "state_dict", "model")
#: Keys under which a file says its own position.
EPOCH_KEYS: Final = ("epoch",)
STEP_KEYS: Final = ("global_step", "step")
_POSITION_KEYS: Final = frozenset((*EPOCH_KEYS, *STEP_KEYS))
#: Mappings of tensors under such a key belong to the optimizer or the trainer and are never the network.
_NOT_THE_NETWORK: Final = re.compile(r"optim|sched|scaler|rng|momentum|exp_avg|grad", re.IGNORECASE)
_LARGEST_POSITION: Final = 2**63 - 1
#: Mappings around a state dict that are looked into, itself included.
_DEEPEST: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDict:
    """A state dict as it was found inside a file."""

    #: Everything under its keys, in the file's order.
    entries: Mapping[str, Any]
    #: Dotted key it was found under; empty if the file is the state dict itself.
    wrapper: str
    #: The mappings from the outermost to the state dict, where the file's own epoch may stand.
    scopes: tuple[Mapping[Any, Any], ...]


def find_state_dict(content: object, path: Path, key: str = "") -> StateDict:
    """Returns the one mapping of names to tensors inside ``content``.

    A bare state dict is taken as it is; else the keys ``model_state_dict``, ``state_dict``, ``model`` in this order;
    else the only key that holds a mapping of names to tensors and does not belong to the optimizer. The same rule is
    followed inside a wrapper that is itself wrapped.

    Args:
        content: what the file holds.
        path: the file, for messages.
        key: where the state dict is, if a user said so; dots go down one level.

    Raises:
        NotACheckpointError: there is none (the message says what there is instead), or several.
        CorruptCheckpointError: there would be one if its tensors had values.
    """
    if key:
        return _follow(content, path, key)
    found = _search(content, path, StateDict(entries={}, wrapper="", scopes=()), set())
    if found is None:
        if name := _find_without_values(content):
            raise CorruptCheckpointError(f"{path}: tensor {name[:80]!r} was saved without values (meta device)")
        raise NotACheckpointError(f"{path}: expected named parameters, found {describe(content)}")
    return found


def split_tensors(entries: Mapping[str, Any]) -> tuple[Mapping[str, torch.Tensor], tuple[str, ...]]:
    """Returns the dense floating-point tensors of ``entries``, and the names of its other tensors.

    Tensors that are not read yet are checked and read when they are taken out of the mapping.

    Raises:
        UnsafeCheckpointError: a tensor claims more elements than the file holds for it.
        CorruptCheckpointError: the file ends before a tensor does.
    """
    floating: dict[str, torch.Tensor | LazyTensor] = {}
    others: list[str] = []
    for name, value in entries.items():
        if not isinstance(value, AnyTensor) or _is_position(name, value):
            continue
        if not is_real_tensor(value):
            others.append(name)
        elif isinstance(value, LazyTensor):
            value.check(name)
            floating[name] = value
        elif isinstance(value, torch.Tensor):
            floating[name] = value
    return ParameterTensors(floating), tuple(others)


def read_position(scopes: tuple[Mapping[Any, Any], ...], keys: tuple[str, ...]) -> int | None:
    """Returns the first non-negative integer under one of ``keys``, outermost mapping first; None if there is none."""
    for scope in scopes:
        for key in keys:
            position = as_position(scope.get(key))
            if position is not None:
                return position
    return None


def as_position(value: object) -> int | None:
    """Returns ``value`` as an epoch or step: an integer or a 0-d integer tensor in [0, 2⁶³), else None."""
    if isinstance(value, LazyTensor) and value.shape == ():
        value.check("position")
        value = value.read()
    if isinstance(value, torch.Tensor) and value.ndim == 0 and not value.is_floating_point() and not value.is_complex():
        value = value.item() if value.dtype != torch.bool else None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_POSITION:
        return None
    return value


def describe(content: object) -> str:
    """Returns in a few words what a file holds that is no checkpoint."""
    if isinstance(content, torch.Tensor | LazyTensor):
        return f"one tensor without a name, of shape {tuple(content.shape)}"
    if isinstance(content, Inert | Global):
        return (
            f"what {str(content.maker if isinstance(content, Inert) else content)[:100]!r} stands for, and nothing else"
        )
    if not isinstance(content, Mapping):
        size = f" of {len(content)} items" if isinstance(content, list | tuple | set) else ""
        return f"a {type(content).__name__}{size}"
    return _describe_mapping(content)


def _describe_mapping(content: Mapping[Any, Any]) -> str:
    if not content:
        return "an empty mapping"
    if {"state", "param_groups"} <= set(content):
        return "the state of an optimizer"
    for key, value in content.items():
        if isinstance(value, Mapping) and {"state", "param_groups"} <= set(value):
            return f"the state of an optimizer under {str(key)[:40]!r}, and no network"
    keys = ", ".join(repr(key)[:40] for key in list(content)[:6])
    return f"a mapping without named floating-point tensors (keys {keys}{', …' if len(content) > 6 else ''})"


def _search(content: object, path: Path, outer: StateDict, seen: set[int]) -> StateDict | None:
    if not isinstance(content, Mapping) or id(content) in seen or len(outer.scopes) >= _DEEPEST:
        return None  # a mapping met twice (a cycle, or one of exponentially many routes) has been searched already
    seen.add(id(content))
    scopes = (*outer.scopes, content)
    if _holds_parameters(content):
        return StateDict(entries=content, wrapper=outer.wrapper, scopes=scopes)
    for key in WRAPPERS:
        inner = StateDict(entries={}, wrapper=_joined(outer.wrapper, key), scopes=scopes)
        if found := _search(content.get(key), path, inner, seen):
            return found
    candidates = [
        found
        for key, value in content.items()
        if isinstance(key, str)
        and not _NOT_THE_NETWORK.search(key)
        and (
            found := _search(
                value, path, StateDict(entries={}, wrapper=_joined(outer.wrapper, key), scopes=scopes), seen
            )
        )
    ]
    if len(candidates) > 1:
        keys = ", ".join(candidate.wrapper for candidate in candidates)
        raise NotACheckpointError(
            f"{path}: expected one state dict, found several ({keys}); say which with --set run.state_dict=KEY"
        )
    return candidates[0] if candidates else None


def _follow(content: object, path: Path, key: str) -> StateDict:
    scopes: list[Mapping[Any, Any]] = []
    rest, here = key, content
    while rest:
        if not isinstance(here, Mapping):
            raise NotACheckpointError(f"{path}: expected a state dict under {key!r}, found {describe(content)}")
        scopes.append(here)
        first, _, after = (rest, "", "") if rest in here else rest.partition(".")
        if first not in here:
            names = ", ".join(repr(name)[1:-1][:40] for name in sorted(map(str, here))[:8])
            raise NotACheckpointError(f"{path}: expected a state dict under {key!r}, found the keys {names}")
        here, rest = here[first], after
    if not isinstance(here, Mapping) or not _holds_parameters(here):
        raise NotACheckpointError(f"{path}: expected a state dict under {key!r}, found {describe(here)}")
    return StateDict(entries=here, wrapper=key, scopes=(*scopes, here))


def _holds_parameters(mapping: Mapping[Any, Any]) -> bool:
    has_parameter = False
    for name, value in mapping.items():
        if not isinstance(name, str):
            return False
        if isinstance(value, AnyTensor):
            has_parameter |= is_real_tensor(value) and not _is_position(name, value)
        elif not (name == "_metadata" or name.endswith("_extra_state") or name in _POSITION_KEYS):
            return False
    return has_parameter


def _is_position(name: str, value: AnyTensor) -> bool:
    return name in _POSITION_KEYS and isinstance(value, torch.Tensor | LazyTensor) and value.ndim == 0


def _find_without_values(content: object) -> str:
    """Returns the name of a tensor of the meta device in a mapping or in a mapping in it; empty if there is none."""
    outer = content if isinstance(content, Mapping) else {}
    for mapping in (outer, *(value for value in outer.values() if isinstance(value, Mapping))):
        for name, value in mapping.items():
            if isinstance(value, UnreadTensor) and "meta" in value.maker:
                return str(name)
    return ""


def _joined(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix else key
