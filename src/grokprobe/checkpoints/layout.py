"""Layout patterns: coordinates that the names of directories and files say.

    p_{p}_scale_{init_scale}_{run}/{epoch}.pth

A pattern has one or more path components, matched against as many last components of a file's absolute path. A field
stands for one or more characters other than "/", as few as possible; everything else is literal.

``seed``, ``init_scale``, ``epoch`` and ``step`` are coordinates. ``run`` and ``_`` (which may be repeated) tell runs
apart and say nothing about the experiment. Every other field is a parameter of the experiment.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grokprobe.errors import UsageError
from grokprobe.names import EPOCH, INIT_SCALE, SEED, STEP

_ANONYMOUS: Final = "_"
_RUN: Final = "run"
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COUNT: Final = re.compile(r"[0-9]{1,18}")
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"-?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutMatch:
    """What a layout reads in one path."""

    seed: int | None
    init_scale: float | None
    epoch: int | None
    step: int | None
    #: The further fields, typed: an integer, else a float, else text (``007`` is text).
    fields: Mapping[str, int | float | str]
    #: Text of the coordinate fields that are not of their type, such as ``{epoch}`` reading "final".
    unparsed: Mapping[str, str]
    #: The run: its directory if that says all about it, else the path with ``{epoch}`` or ``{step}`` blanked.
    run_path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A compiled pattern."""

    #: The pattern as given.
    pattern: str
    #: One anchored expression per path component.
    components: tuple[re.Pattern[str], ...]
    #: Names of the fields, without the anonymous ones.
    fields: frozenset[str]

    @classmethod
    def parse(cls, pattern: str) -> "Layout":
        """Compiles ``pattern``.

        Raises:
            UsageError: an empty component, a field that is no name, used twice, or not separated from the next.
        """
        parts = pattern.split("/")
        if not all(parts) or {".", ".."} & set(parts):
            raise UsageError(
                f"layout {pattern!r}: expected names separated by single slashes, as in {{run}}/{{epoch}}.pt"
            )
        seen: set[str] = set()
        components = tuple(re.compile(_compile(part, pattern, seen), re.DOTALL) for part in parts)
        return cls(pattern=pattern, components=components, fields=frozenset(seen))

    @property
    def says_position(self) -> bool:
        """Whether the layout has an epoch or step field."""
        return not self.fields.isdisjoint((EPOCH, STEP))

    def match(self, path: Path) -> LayoutMatch | None:
        """Returns what the layout reads in the absolute ``path``; None if the path does not match."""
        names = path.parts[-len(self.components) :]
        if len(names) < len(self.components):
            return None
        texts: dict[str, str] = {}
        blanked: list[str] = []
        for component, name in zip(self.components, names, strict=True):
            found = component.fullmatch(name)
            if found is None:
                return None
            texts.update(found.groupdict())
            blanked.append(_blank(found))
        return self._typed(texts, self._run_path(path, blanked))

    def _typed(self, texts: Mapping[str, str], run_path: Path) -> LayoutMatch:
        counts = {name: _as_count(texts[name]) for name in (SEED, EPOCH, STEP) if name in texts}
        scale = _as_scale(texts[INIT_SCALE]) if INIT_SCALE in texts else None
        coordinates = {**counts, **({INIT_SCALE: scale} if INIT_SCALE in texts else {})}
        return LayoutMatch(
            seed=counts.get(SEED),
            init_scale=scale,
            epoch=counts.get(EPOCH),
            step=counts.get(STEP),
            fields={name: _as_value(text) for name, text in texts.items() if name not in {*coordinates, _RUN}},
            unparsed={name: texts[name] for name, value in coordinates.items() if value is None},
            run_path=run_path,
        )

    def _run_path(self, path: Path, blanked: list[str]) -> Path:
        above = path.parents[len(blanked) - 1]
        is_position_above = any(set(part.groupindex) & {EPOCH, STEP} for part in self.components[:-1])
        identifies = self.components[-1].groups > len(set(self.components[-1].groupindex) & {EPOCH, STEP})
        if is_position_above or identifies:
            return above.joinpath(*blanked)
        return path.parent


def _compile(part: str, pattern: str, seen: set[str]) -> str:
    """Returns the expression of one component; adds its field names to ``seen``."""
    pieces = _FIELD.split(part)  # literal, field, literal, …, literal
    expression = re.escape(pieces[0])
    for place in range(1, len(pieces), 2):
        name, literal = pieces[place], pieces[place + 1]
        if not _NAME.fullmatch(name):
            raise UsageError(f"layout {pattern!r}: expected a name between braces, found {{{name}}}")
        if name in seen:
            raise UsageError(f"layout {pattern!r}: field {{{name}}} is used twice; {{_}} may be repeated")
        if not literal and place + 2 < len(pieces):
            raise UsageError(f"layout {pattern!r}: expected text between {{{name}}} and {{{pieces[place + 2]}}}")
        if name != _ANONYMOUS:
            seen.add(name)
        expression += ("([^/]+?)" if name == _ANONYMOUS else f"(?P<{name}>[^/]+?)") + re.escape(literal)
    if "{" in "".join(pieces[::2]) or "}" in "".join(pieces[::2]):
        raise UsageError(f"layout {pattern!r}: expected fields like {{epoch}}, found a single brace in {part!r}")
    return expression


def _blank(found: re.Match[str]) -> str:
    text = found.string
    spans = sorted((found.span(name), name) for name in (EPOCH, STEP) if name in found.re.groupindex)
    for (start, stop), name in reversed(spans):
        text = f"{text[:start]}{{{name}}}{text[stop:]}"
    return text


def _as_count(text: str) -> int | None:
    return int(text) if _COUNT.fullmatch(text) else None


def _as_scale(text: str) -> float | None:
    value = _as_value(text)
    return float(value) if not isinstance(value, str) and value > 0 else None


def _as_value(text: str) -> int | float | str:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and any(digit.isdigit() for digit in re.split("[eE]", text)[0]):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
