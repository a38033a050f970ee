"""``grokprobe dashboard``."""

import importlib
import importlib.util
from pathlib import Path

import click

from grokprobe.cli.console import Session, echo_json, session_options
from grokprobe.errors import UsageError
from grokprobe.store import find_url


@click.command("dashboard")
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--port", default=5006, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--browser/--no-browser", "opens_browser", default=True, help="Whether to open a browser.")
@session_options
def command(session: Session, /, results: Path, port: int, *, opens_browser: bool) -> int:
    """Shows RESULTS, a results store, in a browser, and reads of it what is looked at.

    For stores that are too large for the one file of a report. Only this machine reaches the page, at 127.0.0.1; Ctrl-C
    ends it. Needs an extra: pip install 'grokprobe[dashboard]'.
    """
    if importlib.util.find_spec("panel") is None:
        raise UsageError("grokprobe dashboard needs an extra: pip install 'grokprobe[dashboard]'")
    server = importlib.import_module("grokprobe.dashboard.server")
    request = server.DashboardRequest(results=results, port=port, opens_browser=opens_browser, plugins=session.plugins)

    def announce(address: str) -> None:
        if session.as_json:
            echo_json({"url": address})
        else:
            click.echo(f"The dashboard of {find_url(results) or results} is at {address}  (Ctrl-C ends it)")

    return 128 + server.serve_dashboard(request, announce)
