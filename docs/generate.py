"""Writes the reference of measures and of the command line from the program itself, at every build of the docs."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from grokprobe import names
from grokprobe.cli import main
from grokprobe.derive import SUMMARY_SPECS
from grokprobe.history import HISTORY_SPECS
from grokprobe.interfaces import Probe
from grokprobe.plugins import PluginSelection, Provided, load_plugins
from grokprobe.variables import VariableSpec

#: Width of the help texts, in characters.
HELP_WIDTH = 100
#: Words for the types and limits of JSON schemas.
TYPES = {"boolean": "true or false", "integer": "integer", "null": "none", "number": "number", "object": "table"}
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


def render_measures() -> Iterator[str]:
    """Yields the reference of every built-in probe, and of the groups ``history`` and ``summary``."""
    for entry in load_plugins(PluginSelection()).provided:
        if entry.kind == names.PROBES and entry.plugin.distribution == DISTRIBUTION:
            yield from _render_probe(entry)
    for group, specs, leading in (
        (names.HISTORY, HISTORY_SPECS, names.LEADING_DIMS),
        (names.SUMMARY, SUMMARY_SPECS, names.SUMMARY_DIMS),
    ):
        yield from ("", f"## `{group}`", "", f"Leading dimensions: {_code_list(leading)}.", "")
        yield from _render_variables(specs)


def _render_probe(entry: Provided) -> Iterator[str]:
    probe = entry.item
    options = probe.options()
    yield from ("", f"## `{entry.kind}/{entry.name}`", "", _prose(inspect.getdoc(type(probe)) or ""), "")
    needs = ", ".join(sorted(requirement.value for requirement in probe.requires))
    when = "Runs when no measure is named." if probe.is_cheap else "Runs when it is named."
    yield from (f"Needs: {needs}. {when} Version {probe.version}.", "")
    yield from (f"Leading dimensions: {_code_list(names.LEADING_DIMS)}.", "")
    specs = probe.variables(options)
    yield from _render_variables(specs)
    yield from _render_options(type(options), {spec.name for spec in specs}, probe)


def _render_variables(specs: Iterable[VariableSpec]) -> Iterator[str]:
    yield from ("| variable | own dimensions | units | range | definition | reference |", "|---|---|---|---|---|---|")
    for spec in specs:
        cells = (f"`{spec.name}`", _code_list(spec.dims), spec.units, _range(spec), spec.description, spec.reference)
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"
    yield ""


def _render_options(options: type[BaseModel], always: set[str], probe: Probe) -> Iterator[str]:
    if not options.model_fields:
        return
    comments = _field_comments(options)
    schemas = options.model_json_schema()["properties"]
    yield from ("| option | values | default | meaning |", "|---|---|---|---|")
    for name, field in options.model_fields.items():
        value = field.get_default(call_default_factory=True)
        default = "none" if value is None else f"`{json.dumps(value)}`"
        cells = (f"`{name}`", _allowed(schemas[name]), default, comments.get(name, ""))
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"
    yield ""
    flags = {name: True for name, field in options.model_fields.items() if field.default is False}
    requested = [spec for spec in probe.variables(options(**flags)) if spec.name not in always]
    if requested:
        yield from (f"On request ({_code_list(flags)}):", "")
        yield from _render_variables(requested)


def _allowed(schema: Mapping[str, Any]) -> str:
    """Returns in words what values a JSON schema allows."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_allowed(part) for part in schema["anyOf"])
    limits = [f"{sign} {schema[key]:g}" for key, sign in LIMITS.items() if key in schema]
    return ", ".join([TYPES[schema["type"]], *limits])


def _field_comments(model: type[BaseModel]) -> dict[str, str]:
    """Returns the ``#:`` comment above each field of ``model``."""
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
