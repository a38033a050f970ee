"""``grokprobe plugins``."""

from dataclasses import asdict
from typing import Any

import click

from grokprobe.cli.console import Session, echo_json, session_options
from grokprobe.cli.table import print_table
from grokprobe.plugins import KINDS, Plugins, load_plugins


@click.command("plugins")
@session_options
def command(session: Session, /) -> int:
    """Lists tasks, measures, figures and readers with their distributions, and every plugin that could not be used."""
    plugins = load_plugins(session.plugins)
    if session.as_json:
        echo_json(_as_json(plugins))
        return 0
    rows = [
        (KINDS[entry.kind][2], entry.name, entry.version, _origin(entry.plugin), entry.plugin.name)
        for entry in plugins.provided
    ]
    print_table(("kind", "name", "version", "from", "plugin"), rows)
    for plugin in plugins.loaded:
        if plugin.error:
            click.echo(f"not used: {plugin.name} of {_origin(plugin)}: {plugin.error}")
    return 0


def _origin(plugin: Any) -> str:
    return f"{plugin.distribution} {plugin.version}".rstrip()


def _as_json(plugins: Plugins) -> dict[str, Any]:
    return {
        "plugins": [asdict(plugin) for plugin in plugins.loaded],
        "provided": [
            {
                "kind": KINDS[entry.kind][2],
                "name": entry.name,
                "version": entry.version,
                "plugin": entry.plugin.name,
                "distribution": entry.plugin.distribution,
            }
            for entry in plugins.provided
        ],
    }
