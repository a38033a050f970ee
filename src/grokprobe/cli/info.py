"""``grokprobe info``."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from grokprobe.checkpoints import Discovery, Reading, Run, discover
from grokprobe.checkpoints.audit import audit_run
from grokprobe.checkpoints.torch_reading import read_blob
from grokprobe.cli.console import FAILED, Session, echo_json, session_options
from grokprobe.cli.opening import opening_code
from grokprobe.cli.table import print_table
from grokprobe.errors import SeveralCheckpointsError, UsageError
from grokprobe.overview import ExperimentOverview, describe_results
from grokprobe.placing import flatten
from grokprobe.plugins import load_plugins
from grokprobe.store import find_url


@click.command("info")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--layout", metavar="PATTERN", help="Where coordinates are in the path, as for analyze.")
@click.option("--no-audit", is_flag=True, help="Read headers only: do not look for what is wrong with the values.")
@session_options
def command(session: Session, /, path: Path, layout: str | None, *, no_audit: bool) -> int:
    """Says what is at PATH: a directory tree of checkpoints, one file, or a results store (also s3://BUCKET/PREFIX).

    A tree is also audited: values that are not finite, equal checkpoints under different epochs, gaps, shapes that
    change along a run, epochs that seem to be off by one. Nothing in a file is executed.
    """
    if find_url(path) is not None:
        return _results(session, path)
    if not path.exists():
        raise UsageError(f"expected a directory, a checkpoint or a results store, found nothing at {path}")
    if (path / "zarr.json").exists():
        return _results(session, path)
    reading = Reading(readers=load_plugins(session.plugins).readers)
    if path.is_file():
        return _file(session, path, reading)
    discovery = discover(path, layout=layout, reading=reading, progress=session.progress())
    return _tree(session, discovery, [] if no_audit else _audit(session, discovery, reading))


def _results(session: Session, path: Path) -> int:
    overviews = describe_results(path)
    if session.as_json:
        rows = [
            {
                **asdict(overview),
                "rows": [{"seed": s, "init_scale": g, "values": v} for (s, g), v in overview.rows.items()],
            }
            for overview in overviews
        ]
        echo_json(rows)
        return 0
    for overview in overviews:
        click.echo(overview.name)
        _print_groups(overview)
        if overview.rows:
            click.echo("")
            header = ("seed", "init_scale", *overview.columns)
            print_table(header, [(str(s), f"{g:g}", *map(_number, v)) for (s, g), v in overview.rows.items()])
        click.echo("")
    click.echo(f"Open it in Python: {opening_code(path)}")
    return 0


def _print_groups(overview: ExperimentOverview) -> None:
    for group in overview.groups:
        seeds, scales, epochs = group.shape
        counts = ", ".join(f"{count} {kind}" for kind, count in group.counts.items())
        name = group.path.removeprefix(f"{overview.name}/")
        click.echo(f"  {name}: {seeds} seeds x {scales} init_scales x {epochs} epochs: {counts}")


def _file(session: Session, path: Path, reading: Reading) -> int:
    try:
        content = reading.read(path)
    except SeveralCheckpointsError:
        return _whole_run(session, path)
    shapes = {name: list(shape) for name, shape in content.shapes.items()}
    if session.as_json:
        record = {"format": content.format, "wrapper": content.wrapper, "epoch": content.epoch, "step": content.step}
        echo_json({**record, "parameters": shapes, "unread": content.unread})
        return 0
    where = f' under "{content.wrapper}"' if content.wrapper else ""
    click.echo(f"{path}: {content.format}, {len(shapes)} parameters{where}, epoch {_known(content.epoch)}")
    print_table(
        ("parameter", "shape", "type"),
        [(name, str(shapes[name]), str(dtype)) for name, dtype in content.types.items()],
    )
    for name in content.other_tensors:
        click.echo(f"not measured, because it holds no real numbers of floating point: {name}")
    if content.unread:
        click.echo(f"named in the file, neither imported nor called: {', '.join(content.unread)}")
    return 0


def _whole_run(session: Session, path: Path) -> int:
    """Says what a file holds that holds a whole run, its own log included."""
    discovery, blob = discover(path), read_blob(path)
    if blob is None or not discovery.runs:
        return _tree(session, discovery, [])
    (run,) = discovery.runs
    if session.as_json:
        echo_json({**asdict(discovery), "logged": blob.logged})
        return 0
    click.echo(f"{path}: a whole run, seed {_known(run.seed)}, init_scale {_known(run.init_scale)}")
    for key, value in flatten(run.parameters).items():
        click.echo(f"  {key} = {value}")
    print_table(
        ("checkpoint", "epoch", "state"),
        [(ref.member, str(ref.epoch), ref.problem or "readable") for ref in run.checkpoints],
    )
    session.say_all("note", list(discovery.warnings))
    return 3 if any(ref.problem for ref in run.checkpoints) else 0


def _tree(session: Session, discovery: Discovery, findings: list[str]) -> int:
    failed = (*discovery.refused, *discovery.unreadable)
    if session.as_json:
        echo_json({**asdict(discovery), "audit": findings})
    else:
        print_table(
            ("run", "seed", "init_scale", "epochs", "checkpoints", "parameters"),
            [_run_row(run) for run in discovery.runs],
        )
    problems = [
        f"{checkpoint.path}: {checkpoint.problem}"
        for run in discovery.runs
        for checkpoint in run.checkpoints
        if checkpoint.problem
    ]
    session.say_all("note", list(discovery.warnings))
    session.say_all("audit", findings)
    session.say_all("not a checkpoint", [f"{file.path}: {file.reason}" for file in discovery.skipped])
    session.say_all(FAILED, [*problems, *(f"{file.path}: {file.reason}" for file in failed)])
    if not discovery.runs:
        return 4 if failed else 2
    return 3 if failed or problems else 0


def _audit(session: Session, discovery: Discovery, reading: Reading) -> list[str]:
    progress = session.progress()
    progress.start("auditing checkpoints", sum(len(run.checkpoints) for run in discovery.runs))
    try:
        return [
            f"{run.path}: {line}"
            for run in discovery.runs
            for line in audit_run(run, reading=reading, progress=progress)
        ]
    finally:
        progress.finish()


def _run_row(run: Run) -> Sequence[str]:
    epochs = [checkpoint.epoch for checkpoint in run.checkpoints]
    span = f"{epochs[0]} … {epochs[-1]} {run.epoch_units}" if len(epochs) > 1 else f"{epochs[0]} {run.epoch_units}"
    parameters = " ".join(f"{_short(key)}={value}" for key, value in flatten(run.parameters).items())
    return (str(run.path), _known(run.seed), _known(run.init_scale), span, str(len(epochs)), parameters)


def _short(key: str) -> str:
    table, _, name = key.partition(".")
    return table if name == "name" else name


def _known(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else str(value)
    return f"{value:g}" if value == int(value) else f"{value:.3f}"
