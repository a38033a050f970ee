"""``grokprobe report``."""

from pathlib import Path

import click

from grokprobe.cli.console import Session, echo_json, session_options
from grokprobe.report import write_report


@click.command("report")
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--out", default="report.html", show_default=True, type=click.Path(path_type=Path), help="File to write.")
@session_options
def command(session: Session, /, results: Path, out: Path) -> int:
    """Writes one HTML file about RESULTS, a results store, that any browser opens without a network.

    It says in plain words what each run did, with the numbers and definitions behind it; it has the figures, a slider
    through the epochs, what failed, and where everything comes from.
    """
    path = write_report(results, out, session.progress(), plugins=session.plugins)
    if session.as_json:
        echo_json({"report": str(path), "bytes": path.stat().st_size})
    else:
        click.echo(f"The report is {path}. Open it in a browser: {path.resolve().as_uri()}")
    return 0
