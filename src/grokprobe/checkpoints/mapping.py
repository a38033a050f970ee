"""Foreign parameter names matched to a task's own network."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from grokprobe.errors import UsageError

Shapes = Mapping[str, tuple[int, ...]]
_DIGITS: Final = re.compile(r"([0-9]+)")
#: What ends every refusal.
_ADVICE: Final = "say which with --set task.map.NEW=OLD (NEW the task's name, OLD the file's)"


def map_parameters(foreign: Shapes, own: Shapes, explicit: Mapping[str, str]) -> dict[str, str]:
    """Returns which foreign tensor is which of the task's own parameters.

    In this order: what ``explicit`` says; equal names, if all that remain are there (also behind one common prefix
    such as ``model.``); layers, a weight and a bias under one prefix, by their shapes; single tensors by shape. Where
    several have one shape there must be equally many on both sides, and on both sides the order in the file must be
    the natural order of the names: then they are matched in order, otherwise the map is not unique.

    Args:
        foreign: shapes by the file's names, in the file's order. Tensors that nothing needs are left over.
        own: shapes by the task's names, in the network's order.
        explicit: foreign name by own name.

    Returns:
        Foreign name by own name, for every name of ``own`` and in its order.

    Raises:
        UsageError: a name in ``explicit`` does not exist or has another shape; nothing fits a parameter; several do.

    Example:
        >>> foreign = {"net.0.weight": (5, 3), "net.0.bias": (5,), "net.2.weight": (2, 5), "net.2.bias": (2,)}
        >>> own = {"hidden.weight": (5, 3), "hidden.bias": (5,), "output.weight": (2, 5), "output.bias": (2,)}
        >>> assert map_parameters(foreign, own, {})["output.bias"] == "net.2.bias"
    """
    _check_explicit(foreign, own, explicit)
    found = dict(explicit)
    rest_own = {name: shape for name, shape in own.items() if name not in found}
    taken = set(found.values())
    rest_foreign = {name: shape for name, shape in foreign.items() if name not in taken}
    named = _match_names(rest_foreign, rest_own)
    if named is None:
        named = _match_layers(rest_foreign, rest_own)
        left_own = {name: shape for name, shape in rest_own.items() if name not in named}
        used = set(named.values())
        left_foreign = {name: shape for name, shape in rest_foreign.items() if name not in used}
        named |= _match_tensors(left_foreign, left_own)
    found |= named
    return {name: found[name] for name in own}


def _check_explicit(foreign: Shapes, own: Shapes, explicit: Mapping[str, str]) -> None:
    for new, old in explicit.items():
        if new not in own:
            raise UsageError(f"task.map.{new}: expected a parameter of the task ({', '.join(own)}), found {new!r}")
        if old not in foreign:
            raise UsageError(f"task.map.{new}: expected a tensor of the file ({', '.join(foreign)}), found {old!r}")
        if foreign[old] != own[new]:
            raise UsageError(f"task.map.{new}: expected a tensor of shape {own[new]}, found {old!r} of {foreign[old]}")
    twice = [old for old, count in Counter(explicit.values()).items() if count > 1]
    if twice:
        raise UsageError(f"task.map: expected each tensor of the file once, found {twice[0]!r} for several parameters")


def _match_names(foreign: Shapes, own: Shapes) -> dict[str, str] | None:
    """Equal names behind one prefix; None unless exactly one prefix does it for all of ``own``."""
    if not own:
        return {}
    first = next(iter(own))
    prefixes = [name.removesuffix(first) for name in foreign if name == first or name.endswith(f".{first}")]
    fitting = [prefix for prefix in prefixes if all(foreign.get(prefix + name) == own[name] for name in own)]
    return {name: fitting[0] + name for name in own} if len(fitting) == 1 else None


def _match_layers(foreign: Shapes, own: Shapes) -> dict[str, str]:
    """Weights and biases that stand under one prefix, matched as pairs; pairs without a match are left to shapes."""
    foreign_pairs, own_pairs = _pairs(foreign), _pairs(own)
    found: dict[str, str] = {}
    for shapes in dict.fromkeys((own[weight], own[bias]) for weight, bias in own_pairs):
        mine = [pair for pair in own_pairs if (own[pair[0]], own[pair[1]]) == shapes]
        theirs = [pair for pair in foreign_pairs if (foreign[pair[0]], foreign[pair[1]]) == shapes]
        if not theirs:
            continue
        _check_unique([weight for weight, _ in mine], [weight for weight, _ in theirs], shapes[0])
        for own_pair, foreign_pair in zip(mine, theirs, strict=True):
            found |= dict(zip(own_pair, foreign_pair, strict=True))
    return found


def _match_tensors(foreign: Shapes, own: Shapes) -> dict[str, str]:
    found: dict[str, str] = {}
    for shape in dict.fromkeys(own.values()):
        mine = [name for name in own if own[name] == shape]
        theirs = [name for name in foreign if foreign[name] == shape]
        if not theirs:
            shapes = ", ".join(f"{name} {tuple(size)}" for name, size in foreign.items()) or "nothing"
            raise UsageError(f"expected a tensor of shape {shape} for {', '.join(mine)}, found {shapes}; {_ADVICE}")
        _check_unique(mine, theirs, shape)
        found |= dict(zip(mine, theirs, strict=True))
    return found


def _check_unique(mine: Sequence[str], theirs: Sequence[str], shape: tuple[int, ...]) -> None:
    if len(mine) == len(theirs) == 1:
        return
    if len(mine) == len(theirs) and all(sorted(names, key=_natural) == list(names) for names in (mine, theirs)):
        return
    raise UsageError(
        f"expected one tensor of shape {shape} for each of {', '.join(mine)}, found {', '.join(theirs)}"
        f" and no unique order; {_ADVICE}"
    )


def _pairs(shapes: Shapes) -> list[tuple[str, str]]:
    """Returns (weight, bias) names under one prefix: a matrix or higher, and a vector as long as its first axis."""
    groups: dict[str, list[str]] = {}
    for name in shapes:
        groups.setdefault(re.sub(r"[^._]*$", "", name), []).append(name)
    pairs: list[tuple[str, str]] = []
    for prefix, names in groups.items():
        ordered = sorted(names, key=lambda name: -len(shapes[name]))
        if not prefix or len(ordered) != 2:
            continue
        weight, bias = ordered
        if len(shapes[weight]) >= 2 and shapes[bias] == shapes[weight][:1]:
            pairs.append((weight, bias))
    return pairs


def _natural(name: str) -> list[object]:
    return [int(part) if place % 2 else part for place, part in enumerate(_DIGITS.split(name))]
