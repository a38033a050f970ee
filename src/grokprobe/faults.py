"""Faults of what a user gave: where, what was expected, what was found and, for a misspelling, what is near."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from grokprobe.errors import RecipeError, UsageError

Table = TypeVar("Table", bound=BaseModel)


def suggest(name: str, candidates: Iterable[str]) -> str:
    """Returns ``; did you mean 'x'?`` for the nearest candidate, or the list of candidates where none is near."""
    known = sorted(candidates)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if known else "; there is none here"


def validate_table(
    model: type[Table], values: Mapping[str, Any], path: str, faults: list[str], is_partial: bool = False
) -> Table | None:
    """Returns ``values`` validated by ``model``, or None after appending every fault to ``faults``.

    Values are validated as JSON, so that strict models accept an array for a tuple and an integer for a float.

    Args:
        model: strict pydantic model of the table.
        values: the table as read from TOML.
        path: dotted path of the table.
        faults: where faults are collected.
        is_partial: whether a value that is not there is no fault, because its default is not known.
    """
    try:
        return model.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        judged = (fault for fault in error.errors() if not (is_partial and fault["type"] == "missing"))
        faults.extend(_describe(fault, path, model.model_fields) for fault in judged)
        return None


def validate_options(model: type[Table], values: Mapping[str, Any], path: str) -> Table:
    """Returns ``values`` validated by ``model``.

    Raises:
        UsageError: with every fault in one line.
    """
    faults: list[str] = []
    table = validate_table(model, values, path, faults)
    if table is None:
        raise UsageError("; ".join(faults))
    return table


def build_recipe_error(source: str, faults: Sequence[str]) -> RecipeError:
    """Returns the one error that lists ``faults``."""
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return RecipeError("\n  ".join([f"{source}: {count}", *faults]))


def _describe(fault: ErrorDetails, path: str, known: Iterable[str]) -> str:
    location = ".".join([path, *map(str, fault["loc"])])
    found = json.dumps(fault["input"], default=str)
    match fault["type"]:
        case "extra_forbidden":
            nearest = suggest(str(fault["loc"][-1]), known) if len(fault["loc"]) == 1 else ""
            return f"{location}: unknown key, found the value {found}{nearest}"
        case "missing":
            return f"{location}: expected a value, found none"
        case "value_error":
            return f"{location}: {fault['ctx']['error'] if 'ctx' in fault else fault['msg']}"
        case _:
            expectation = fault["msg"].replace("Input should be", "expected", 1)
            return f"{location}: {expectation[0].lower()}{expectation[1:]}, found {found}"
