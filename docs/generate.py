"""Writes the reference of measures and of the command line from the program itself, at every build of the docs."""

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from pydantic import BaseModel

from grokprobe import names
from grokprobe.cli import main
from grokprobe.derive import SUMMARY_SPECS
from grokprobe.derive.paths import PATH_SPECS, PERIOD_SPECS
from grokprobe.history import HISTORY_SPECS
from grokprobe.options import CombinedOptions
from grokprobe.planned_measures import PlannedMeasure, build_requests, plan_measures
from grokprobe.plugins import PluginSelection, Provided, load_plugins
from grokprobe.variables import VariableSpec

#: Width of the help texts, in characters.
HELP_WIDTH = 100
#: Words for the types and limits of JSON schemas.
TYPES = {
    "array": "array",
    "boolean": "true or false",
    "integer": "integer",
    "null": "none",
    "number": "number",
    "object": "table",
}
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
#: The distribution whose measures are described; other installed plugins describe their own.
DISTRIBUTION = "grokprobe"


def write_pages(directory: Path) -> None:
    """Writes ``measures.md`` and ``cli.md`` into ``directory``; a page that has not changed keeps its date."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, lines in (("measures.md", render_measures()), ("cli.md", render_commands())):
        text = "\n".join(lines) + "\n"
        path = directory / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def write_notebooks(sources: Path, directory: Path) -> None:
    """Writes the notebooks among the pages as files that Jupyter opens, not executed."""
    directory.mkdir(parents=True, exist_ok=True)
    for source in sorted(sources.glob("*.md")):
        notebook = read_myst_markdown_notebook(source.read_text(encoding="utf-8"), path=source)
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number}"  # instead of one by chance
        nbformat.write(notebook, directory / f"{source.stem}.ipynb")


def write_kernel(directory: Path) -> None:
    """Writes the kernel ``python3`` of the interpreter that runs this, whatever other kernels of a user are called."""
    own = directory / "kernels" / "python3"
    own.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "--log-level=ERROR", "-f", "{connection_file}"]
    kernel = {"argv": command, "display_name": "Python 3", "language": "python"}
    (own / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")


def render_measures() -> Iterator[str]:
    """Yields the reference of every built-in measure, and of the groups ``history`` and ``summary``."""
    plugins = load_plugins(PluginSelection())
    for kind in (names.PROBES, names.COMPRESSORS, names.GEOMETRY):
        entries = [
            entry for entry in plugins.provided if (entry.kind, entry.plugin.distribution) == (kind, DISTRIBUTION)
        ]
        requests = build_requests(kind, [entry.name for entry in entries], plugins, {}) if entries else []
        pairs = list(zip(entries, plan_measures(requests, plugins), strict=True))
        shared = _Shared.of(pairs)
        if shared.measure is not None:
            yield from _render_shared(kind, shared.measure, shared)
        for entry, planned in pairs:
            yield from _render_measure(entry, planned, shared)
    for group, specs, leading in (
        (names.HISTORY, HISTORY_SPECS, names.LEADING_DIMS),
        (names.SUMMARY, SUMMARY_SPECS, names.SUMMARY_DIMS),
    ):
        yield from ("", f"## `{group}`", "", f"Leading dimensions: {_code_list(leading)}.", "")
        yield from _render_variables(specs)
    yield from ("For each metric that was measured, in the names that start with `geometry.LABEL.`:", "")
    yield from _render_variables(PERIOD_SPECS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What the core makes of every measure of a kind: nothing of probes, which are measured as they are."""

    #: What the core made of one of them; None for probes.
    measure: PlannedMeasure | None
    #: Variables that all have, by default and by option.
    specs: tuple[VariableSpec, ...]
    requested: Mapping[str, tuple[VariableSpec, ...]]

    @classmethod
    def of(cls, pairs: Sequence[tuple[Provided, PlannedMeasure]]) -> "_Shared":
        """Returns what is common to measures of one kind."""
        if not pairs or pairs[0][1].probe is pairs[0][0].item:
            return cls(measure=None, specs=(), requested={})
        plans = [planned for _, planned in pairs]
        specs = [spec for spec in plans[0].specs if all(spec in planned.specs for planned in plans)]
        requested = [_requested(planned) for planned in plans]
        return cls(
            measure=plans[0],
            specs=tuple(specs),
            requested={
                flag: found
                for flag, found in requested[0].items()
                if all(found == other.get(flag) for other in requested)
            },
        )


def _requested(planned: PlannedMeasure) -> dict[str, tuple[VariableSpec, ...]]:
    """Returns by option that is off the variables that are stored, or stored otherwise, when it is on."""
    options = type(planned.options)
    flags = [name for name, field in options.model_fields.items() if field.default is False]
    found = {
        flag: tuple(spec for spec in planned.probe.variables(options(**{flag: True})) if spec not in planned.specs)
        for flag in flags
    }
    return {flag: specs for flag, specs in found.items() if specs}


def _render_shared(kind: str, measure: PlannedMeasure, shared: _Shared) -> Iterator[str]:
    yield from ("", f"## Every `{kind}/…`", "", _prose(inspect.getdoc(type(measure.probe)) or ""), "")
    yield from (f"Leading dimensions: {_code_list(names.LEADING_DIMS)}.", "")
    yield from _render_variables(shared.specs)
    own = next(iter(_parts(type(measure.options))))
    yield from _render_options(own)
    yield from _render_requested(shared.requested)
    if kind == names.GEOMETRY:
        yield from ("Along each run, from the numbers above, once all its checkpoints are measured:", "")
        yield from _render_variables(PATH_SPECS)


def _render_measure(entry: Provided, planned: PlannedMeasure, shared: _Shared) -> Iterator[str]:
    measure = entry.item
    yield from ("", f"## `{entry.kind}/{entry.name}`", "", _prose(inspect.getdoc(type(measure)) or ""), "")
    needs = ", ".join(sorted(requirement.value for requirement in planned.requires))
    when = "Runs when no measure is named." if measure.is_cheap else "Runs when it is named."
    yield from (f"Needs: {needs}. {when} Version {planned.probe.version}.", "")
    if specs := [spec for spec in planned.specs if spec not in shared.specs]:
        yield from (f"Leading dimensions: {_code_list(names.LEADING_DIMS)}.", "")
        yield from _render_variables(specs)
    yield from _render_options(measure.options)
    for label in measure.variants:
        values = ", ".join(f"{key}={json.dumps(value)}" for key, value in planned.probe.variants[label].items())
        yield from (f"`{entry.name}@{label}` starts from `{values}`.", "")
    yield from _render_requested({flag: of for flag, of in _requested(planned).items() if flag not in shared.requested})


def _render_variables(specs: Iterable[VariableSpec]) -> Iterator[str]:
    yield from ("| variable | own dimensions | units | range | definition | reference |", "|---|---|---|---|---|---|")
    for spec in specs:
        cells = (f"`{spec.name}`", _code_list(spec.dims), spec.units, _range(spec), spec.description, spec.reference)
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"
    yield ""


def _render_requested(requested: Mapping[str, Iterable[VariableSpec]]) -> Iterator[str]:
    for flag, specs in requested.items():
        yield from (f"On request (`{flag}`):", "")
        yield from _render_variables(specs)


def _render_options(options: type[BaseModel]) -> Iterator[str]:
    if not options.model_fields:
        return
    comments = _field_comments(options)
    schemas = options.model_json_schema()["properties"]
    yield from ("| option | values | default | meaning |", "|---|---|---|---|")
    for name, field in options.model_fields.items():
        value = field.get_default(call_default_factory=True)
        default = "none" if value is None else f"`{json.dumps(value)}`"
        cells = (f"`{name}`", _allowed(schemas[name]), default, comments[name])
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"
    yield ""


def _allowed(schema: Mapping[str, Any]) -> str:
    """Returns in words what values a JSON schema allows."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_allowed(part) for part in schema["anyOf"])
    limits = [f"{sign} {schema[key]:g}" for key, sign in LIMITS.items() if key in schema]
    return ", ".join([TYPES[schema["type"]], *limits])


def _parts(options: type[BaseModel]) -> tuple[type[BaseModel], ...]:
    """Returns what combined options are made of: those of the core, then those of the measure."""
    return tuple(part for part in options.__bases__ if part is not CombinedOptions)


def _field_comments(model: type[BaseModel]) -> dict[str, str]:
    """Returns the ``#:`` comment above each field of ``model``, wherever among its ancestors it is defined."""
    comments = {}
    for ancestor in reversed(model.__mro__):
        if issubclass(ancestor, BaseModel) and ancestor is not BaseModel:
            comments |= _own_comments(ancestor)
    return comments


def _own_comments(model: type[BaseModel]) -> dict[str, str]:
    lines = textwrap.dedent(inspect.getsource(model)).splitlines()
    definition = ast.parse("\n".join(lines)).body[0]
    assert isinstance(definition, ast.ClassDef)
    comments = {}
    for node in definition.body:
        if isinstance(node, ast.AnnAssign):
            above = []
            for line in reversed(lines[: node.lineno - 1]):
                if not line.strip().startswith("#:"):
                    break
                above.append(line.strip().removeprefix("#:").strip())
            comments[ast.unparse(node.target)] = " ".join(reversed(above))
    return comments


def render_commands() -> Iterator[str]:
    """Yields the help text of the program and of each of its commands."""
    context = click.Context(main, info_name="grokprobe", terminal_width=HELP_WIDTH, max_content_width=HELP_WIDTH)
    yield from ("", "## `grokprobe`", "", *_help(main, context))
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None, name
        own = click.Context(command, info_name=name, parent=context)
        yield from ("", f"## `grokprobe {name}`", "", *_help(command, own))


def _help(command: click.Command, context: click.Context) -> tuple[str, ...]:
    return ("```text", command.get_help(context), "```")


def _range(spec: VariableSpec) -> str:
    lowest, highest = ("" if bound is None else f"{bound:g}" for bound in spec.bounds)
    if not lowest and not highest:
        return "any"
    return f"[{lowest}, {highest}]" if lowest and highest else (f"≥ {lowest}" if lowest else f"≤ {highest}")


def _code_list(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words) or "none"


def _prose(docstring: str) -> str:
    """Returns a docstring as Markdown: a role such as ``:class:`~a.B``` becomes the name it shows."""
    on_one_line = re.sub(r"^(Reference:)\n\s+", r"\1 ", docstring, flags=re.MULTILINE)
    return re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", on_one_line)


def _cell(text: str) -> str:
    """Returns ``text`` for a cell of a table, with what Markdown would take for markup escaped outside code."""
    pieces = _prose(text).replace("``", "`").split("`")
    pieces[::2] = [re.sub(r"([*_<])", r"\\\1", piece) for piece in pieces[::2]]
    return "`".join(pieces).replace("|", r"\|")
