"""``grokprobe train``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from grokprobe.cli.console import FAILED, Session, echo_json, session_options
from grokprobe.cli.labels import split_labels
from grokprobe.cli.table import print_table
from grokprobe.errors import UsageError
from grokprobe.training.batch import TrainReport
from grokprobe.training.request import TrainPlan, TrainRequest, carry_out, plan_training
from grokprobe.training.rolling import RollingAnalysis


@click.command("train")
@click.argument("recipe")
@click.option("--out", default="checkpoints", show_default=True, help="Directory for the runs.")
@click.option("--seeds", metavar="SPEC", help="Seeds instead of the recipe's: 0-4,7.")
@click.option("--init-scales", metavar="A,B", help="Initialisation scales instead of the recipe's: 0.1,1,10.")
@click.option("--epochs", type=int, metavar="N", help="Epochs instead of the recipe's.")
@click.option("--set", "settings", multiple=True, metavar="TABLE.KEY=VALUE", help="Set optimizer.lr=1e-2, task.p=23, …")
@click.option("--device", default="auto", show_default=True, help="Where to compute.")
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="Processes. Default: one a core, at most one a batch."
)
@click.option(
    "--members-per-batch",
    type=click.IntRange(1),
    metavar="N",
    help="Runs computed together, 1 for one at a time. Default: what is fastest, measured once.",
)
@click.option("--analyze", is_flag=True, help="Measure during training and delete checkpoints that were measured.")
@click.option("--probes", metavar="A,B", help="With --analyze: probes, as in grokprobe analyze.")
@click.option("--compressors", metavar="A,B", help="With --analyze: compressors, likewise.")
@click.option("--geometry", metavar="A,B", help="With --analyze: metrics, likewise.")
@click.option(
    "--set-measure", multiple=True, metavar="TABLE.KEY=VALUE", help="With --analyze: set fourier.basis=fft, …"
)
@click.option("--results", metavar="PATH", help="With --analyze: results store. [default: results.zarr]")
@click.option("--dry-run", is_flag=True, help="Say what would be trained.")
@session_options
def command(session: Session, /, init_scales: str | None, *, dry_run: bool, **options: Any) -> int:
    """Trains the sweep of RECIPE, a TOML file or a built-in such as modular_addition/paper.

    Each run goes to its own directory OUT/EXPERIMENT/seed-…_init_scale-…, with its initial parameters, checkpoints at
    the recipe's schedule, and its history. The same command given again goes on where it was stopped, to the same
    bytes. With --analyze checkpoints are measured on the way, to the same numbers as grokprobe analyze, and deleted.
    """
    analysis = _read_analysis(options)
    request = TrainRequest(
        init_scales=_parse_scales(init_scales), plugins=session.plugins, analysis=analysis, **options
    )
    plan = plan_training(request)
    if dry_run:
        _print_plan(plan, Path(request.out))
        return 0
    report = carry_out(request, plan, session.progress())
    if session.as_json:
        echo_json([asdict(run) for run in report.runs])
    else:
        _print(report)
    failures = [f"{failure.where}: {failure.reason}" for one in report.analyses for failure in one.failures]
    session.say_all("note", list(dict.fromkeys(notice for one in report.analyses for notice in one.notices)))
    session.say_all(
        FAILED,
        [f"{run.directory}: its loss is not finite after epoch {run.diverged_at}" for run in report.diverged]
        + list(dict.fromkeys(failures)),
    )
    return 3 if report.diverged or failures else 0


def _read_analysis(options: dict[str, Any]) -> RollingAnalysis | None:
    """Takes the options of ``--analyze`` out of all options."""
    is_wanted = options.pop("analyze")
    own = {name: options.pop(name) for name in ("probes", "compressors", "geometry", "set_measure", "results")}
    if not is_wanted:
        if given := [name for name, value in own.items() if value]:
            raise UsageError(f"--{given[0].replace('_', '-')}: expected only with --analyze")
        return None
    return RollingAnalysis(
        probes=split_labels(own["probes"]),
        compressors=split_labels(own["compressors"]),
        geometry=split_labels(own["geometry"]),
        settings=own["set_measure"],
        results=own["results"] or "results.zarr",
    )


def _parse_scales(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(item) for item in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--init-scales: expected numbers such as 0.1,1,10, found {text!r}") from error


def _print_plan(plan: TrainPlan, out: Path) -> None:
    for experiment in plan.experiments:
        recipe, members = experiment.recipe, list(experiment.recipe.members())
        num_checkpoints = len(recipe.schedule.checkpoint_epochs())
        click.echo(f"{experiment.name}: {len(members)} runs of {recipe.schedule.epochs} epochs to {out}")
        click.echo(f"  {num_checkpoints} checkpoints a run; seed, init_scale: {members}")
        for table, values in recipe.parameters().items():
            click.echo(f"  {table}: " + ", ".join(f"{key} = {value}" for key, value in values.items()))


def _print(report: TrainReport) -> None:
    rows = [
        (str(run.seed), f"{run.init_scale:g}", run.outcome, str(run.epochs_trained), str(run.directory))
        for run in report.runs
    ]
    print_table(("seed", "init_scale", "outcome", "epochs", "directory"), rows)
