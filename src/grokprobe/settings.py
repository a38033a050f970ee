"""What a user sets by text: ``--set KEY=VALUE``, ``--where KEY=VALUE``, ``--epochs SPEC``."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from grokprobe.errors import UsageError


def parse_value(text: str) -> Any:
    """Returns ``text`` read as a TOML value (number, boolean, quoted string, array), else as the string it is."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def parse_assignment(text: str) -> tuple[str, Any]:
    """Returns dotted key and value of ``TABLE.KEY=VALUE``.

    Raises:
        UsageError: no ``=``, or no table.

    Example:
        >>> parse_assignment("optimizer.lr=1e-2")
        ('optimizer.lr', 0.01)
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".", 2)) or "." not in key:
        raise UsageError(f"--set: expected TABLE.KEY=VALUE, found {text!r}; for example task.p=23")
    return key, parse_value(value.strip())


def parse_settings(assignments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Returns ``TABLE.KEY=VALUE`` assignments as nested tables.

    A third part of the key is a key of a table in turn and may hold dots itself, as parameter names do.

    Raises:
        UsageError: an assignment without ``=`` or without a table.

    Example:
        >>> parse_settings(["task.p=23", "fourier.axes.mlp.basis=0"])
        {'task': {'p': 23}, 'fourier': {'axes': {'mlp.basis': 0}}}
    """
    settings: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        key, value = parse_assignment(assignment)
        table, *rest = key.split(".", 2)
        target = settings.setdefault(table, {})
        for part in rest[:-1]:
            target = target.setdefault(part, {})
        if not isinstance(target, dict) or isinstance(target.get(rest[-1]), dict):
            raise UsageError(f"--set {assignment}: {table}.{rest[0]} is set both to a value and to a table of values")
        target[rest[-1]] = value
    return settings


def parse_conditions(conditions: Iterable[str]) -> dict[str, tuple[Any, ...]]:
    """Returns ``KEY=VALUE[,VALUE…]`` conditions as allowed values by key.

    Raises:
        UsageError: a condition without ``=``.

    Example:
        >>> parse_conditions(["init_scale=1,10"])
        {'init_scale': (1, 10)}
    """
    allowed = {}
    for condition in conditions:
        key, equals, text = condition.partition("=")
        if not equals or not key or not text:
            raise UsageError(f"--where: expected KEY=VALUE, found {condition!r}; for example init_scale=1,10")
        allowed[key] = tuple(parse_value(value) for value in text.split(","))
    return allowed


def meets(conditions: Mapping[str, tuple[Any, ...]], values: Mapping[str, Any]) -> bool:
    """Says whether every condition holds for ``values``; a key that is absent meets no condition."""
    return all(key in values and _equals_any(values[key], allowed) for key, allowed in conditions.items())


def _equals_any(value: Any, allowed: tuple[Any, ...]) -> bool:
    return any(value == other or str(value) == str(other) for other in allowed)


def parse_epochs(text: str | None) -> Callable[[int], bool]:
    """Returns a test for a comma-separated list of epochs and closed ranges: ``0,10-20,500-``; None allows all.

    Raises:
        UsageError: an item is neither.

    Example:
        >>> wanted = parse_epochs("0,10-20,500-")
        >>> [epoch for epoch in (0, 5, 10, 20, 21, 500, 9999) if wanted(epoch)]
        [0, 10, 20, 500, 9999]
    """
    ranges = []
    if text is None:
        return lambda _: True
    for item in text.split(","):
        first, dash, last = item.strip().partition("-")
        if not re.fullmatch("[0-9]+", first) or not re.fullmatch("[0-9]*", last):
            raise UsageError(f"--epochs: expected epochs and ranges such as 0,10-20,500-, found {item!r}")
        highest = int(last) if last else (None if dash else int(first))
        ranges.append((int(first), highest))
    return lambda epoch: any(low <= epoch and (high is None or epoch <= high) for low, high in ranges)
