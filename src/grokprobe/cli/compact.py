"""``grokprobe compact``."""

from dataclasses import asdict

import click

from grokprobe.cli.console import Session, echo_json, session_options
from grokprobe.store import compact


@click.command("compact")
@click.argument("results")
@session_options
def command(session: Session, /, results: str) -> int:
    """Writes the ledger of RESULTS as one file, and removes what killed processes left.

    No value changes, and what is measured stays measured. A store that is being written is left alone.
    """
    done = compact(results)
    if session.as_json:
        echo_json({**asdict(done), "saved_bytes": done.saved_bytes})
        return 0
    (files, files_now), (size, size_now) = done.ledger_files, done.ledger_bytes
    click.echo(f"ledger: {files} files, {size} bytes -> {files_now} files, {size_now} bytes")
    click.echo(f"leftovers of killed processes: {done.num_leftovers} files, {done.leftover_bytes} bytes removed")
    click.echo(f"{done.results}: {done.saved_bytes} bytes saved")
    return 0
