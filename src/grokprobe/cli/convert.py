"""``grokprobe convert``."""

from dataclasses import asdict
from pathlib import Path

import click

from grokprobe.checkpoints import Reading
from grokprobe.checkpoints.conversion import ConversionReport, convert
from grokprobe.cli.console import FAILED, Session, echo_json, session_options
from grokprobe.cli.table import print_table
from grokprobe.errors import CheckpointError, UsageError
from grokprobe.plugins import load_plugins


@click.command("convert")
@click.argument("checkpoints", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--layout", metavar="PATTERN", help="Where coordinates are in the path, as for analyze.")
@click.option("--state-dict", default="", metavar="KEY", help="Where in each torch file the state dict is.")
@session_options
def command(session: Session, /, checkpoints: Path, out: Path, layout: str | None, state_dict: str) -> int:
    """Writes CHECKPOINTS, a file or a directory tree, to OUT as runs of safetensors files.

    Whatever can be analyzed can be converted: pickles of whole objects, sharded and distributed checkpoints, files
    that hold a whole run. Nothing in them is executed, and nothing in the files written could be. Parameters keep
    their names, types and bits; what is left out is said.
    """
    reading = Reading(state_dict_key=state_dict, readers=load_plugins(session.plugins).readers)
    report = convert(checkpoints, out, layout=layout, reading=reading, progress=session.progress())
    failures = [
        *report.failures,
        *(f"{file.path}: {file.reason}" for file in (*report.discovery.refused, *report.discovery.unreadable)),
    ]
    session.say_all("note", [*report.discovery.warnings, *report.notices])
    session.say_all("not a checkpoint", [f"{file.path}: {file.reason}" for file in report.discovery.skipped])
    _refuse_nothing(report, failures, checkpoints)
    session.say_all(FAILED, failures)
    if session.as_json:
        echo_json([asdict(run) for run in report.runs])
    else:
        rows = [(str(run.directory), str(run.num_checkpoints), str(run.origin)) for run in report.runs]
        print_table(("run", "checkpoints", "from"), rows)
    return 3 if failures else 0


def _refuse_nothing(report: ConversionReport, failures: list[str], checkpoints: Path) -> None:
    if report.runs:
        return
    if failures:
        raise CheckpointError(f"nothing could be converted: {failures[0]}")
    skipped = report.discovery.skipped
    reason = f"{skipped[0].path}: {skipped[0].reason}" if skipped else "no files"
    raise UsageError(f"no checkpoints in {checkpoints}: {reason}")
