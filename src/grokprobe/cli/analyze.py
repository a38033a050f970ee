"""``grokprobe analyze``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from grokprobe.analysis import AnalysisRequest, carry_out
from grokprobe.analysis_report import AnalysisReport
from grokprobe.cli.console import FAILED, Session, echo_json, session_options
from grokprobe.cli.executing import open_workers, refuse_several
from grokprobe.cli.labels import split_labels
from grokprobe.cli.opening import opening_code


@click.command("analyze")
@click.argument("checkpoints", type=click.Path(path_type=Path))
@click.option(
    "--out",
    default="results.zarr",
    show_default=True,
    help="Results store to create or add to: a directory, or s3://BUCKET/PREFIX.",
)
@click.option(
    "--probes", metavar="A,B", help="Probes by name or label (name@variant); all for all. Default: cheap measures."
)
@click.option("--compressors", metavar="A,B", help="Compressors, likewise. What is not named does not run.")
@click.option("--geometry", metavar="A,B", help="Metrics, likewise.")
@click.option("--task", metavar="NAME|FILE.py:CLASS", help="Task of checkpoints that do not say theirs.")
@click.option("--model", default="", metavar="MODULE|FILE.py:FACTORY", help="Network that the checkpoints fit.")
@click.option("--layout", metavar="PATTERN", help="Where coordinates are in the path: 'scale_{init_scale}/{epoch}.pt'.")
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Select runs; several must all hold.")
@click.option("--epochs", metavar="SPEC", help="Select epochs: 0,10-20,500-.")
@click.option("--set", "settings", multiple=True, metavar="TABLE.KEY=VALUE", help="Set task.p=23, fourier.basis=fft, …")
@click.option("--name", metavar="NAME", help="Name of the experiment, if there is one.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes on this machine. [default: 1]")
@click.option("--shard", metavar="I/N", help="Measure the I-th of N parts; other processes measure the others.")
@click.option("--dask", metavar="ADDRESS|local:N", help="Compute on a cluster of Dask, or on one started for this.")
@click.option("--device", default="auto", show_default=True, help="Where to compute.")
@click.option("--recompute", is_flag=True, help="Measure everything again.")
@click.option("--retry-failed", is_flag=True, help="Measure again what failed.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@session_options
def command(
    session: Session,
    /,
    probes: str | None,
    compressors: str | None,
    geometry: str | None,
    jobs: int | None,
    dask: str | None,
    **options: Any,
) -> int:
    """Measures CHECKPOINTS, a file or a directory tree, into one labelled dataset.

    Runs of grokprobe train say everything themselves. For others, --layout says where seed, init_scale and epoch
    are, and --task what was learned. Files that are no checkpoints are named and skipped. Nothing in a file is
    executed. The same command given again resumes; new checkpoints are added to the dataset.

    No number depends on --jobs, --shard or --dask. With --shard the same command is given N times, as in a job array;
    see grokprobe slurm.
    """
    refuse_several({"--jobs": jobs, "--shard": options["shard"], "--dask": dask})
    request = AnalysisRequest(
        probes=split_labels(probes),
        compressors=split_labels(compressors),
        geometry=split_labels(geometry),
        plugins=session.plugins,
        **options,
    )
    with open_workers(jobs, dask) as workers:
        report = carry_out(request, workers, session.progress())
    session.say_all("note", list(report.notices))
    session.say_all("not a checkpoint", [f"{file.path}: {file.reason}" for file in report.skipped])
    session.say_all(FAILED, [f"{failure.where}: {failure.reason}" for failure in report.failures])
    if session.as_json:
        echo_json(asdict(report))
    else:
        _print(report, is_dry=request.dry_run)
    return report.exit_code


def _print(report: AnalysisReport, *, is_dry: bool) -> None:
    for experiment in report.experiments:
        click.echo(f"{experiment.name}: {experiment.num_runs} runs, {experiment.num_epochs} epochs")
        for group, (num_asked, num_new) in experiment.measured.items():
            click.echo(f"  {group}: {num_asked} results, {num_new} {'to measure' if is_dry else 'measured now'}")
        for group, reason in experiment.not_applicable.items():
            click.echo(f"  {group}: does not apply here: {reason}")
    if not is_dry:
        click.echo(f"The dataset is {report.results}. Open it in Python:")
        click.echo(f"  {opening_code(report.results)}")
