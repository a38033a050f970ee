"""``grokprobe train``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from grokprobe.cli.console import FAILED, Session, echo_json, session_options
from grokprobe.cli.table import print_table
from grokprobe.errors import UsageError
from grokprobe.training.batch import TrainReport
from grokprobe.training.request import TrainPlan, TrainRequest, carry_out, plan_training


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
@click.option("--dry-run", is_flag=True, help="Say what would be trained.")
@session_options
def command(session: Session, /, init_scales: str | None, *, dry_run: bool, **options: Any) -> int:
    """Trains the sweep of RECIPE, a TOML file or a built-in such as modular_addition/paper.

    Each run goes to its own directory OUT/EXPERIMENT/seed-…_init_scale-…, with its initial parameters, checkpoints at
    the recipe's schedule, and its history. The same command given again goes on where it was stopped, to the same
    bytes.
    """
    request = TrainRequest(init_scales=_parse_scales(init_scales), plugins=session.plugins, **options)
    plan = plan_training(request)
    if dry_run:
        _print_plan(plan, Path(request.out))
        return 0
    report = carry_out(request, plan, session.progress())
    if session.as_json:
        echo_json([asdict(run) for run in report.runs])
    else:
        _print(report)
    session.say_all(
        FAILED, [f"{run.directory}: its loss is not finite after epoch {run.diverged_at}" for run in report.diverged]
    )
    return 3 if report.diverged else 0


def _parse_scales(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(item) for item in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--init-scales: expected numbers such as 0.1,1,10, found {text!r}") from error


def _print_plan(plan: TrainPlan, out: Path) -> None:
    schedule = plan.recipe.schedule
    num_checkpoints = len(schedule.checkpoint_epochs())
    click.echo(f"{plan.experiment}: {len(plan.recipe.members())} runs of {schedule.epochs} epochs to {out}")
    click.echo(f"  {num_checkpoints} checkpoints a run; seed, init_scale: {list(plan.recipe.members())}")
    for table, values in plan.recipe.parameters().items():
        click.echo(f"  {table}: " + ", ".join(f"{key} = {value}" for key, value in values.items()))


def _print(report: TrainReport) -> None:
    rows = [
        (str(run.seed), f"{run.init_scale:g}", run.outcome, str(run.epochs_trained), str(run.directory))
        for run in report.runs
    ]
    print_table(("seed", "init_scale", "outcome", "epochs", "directory"), rows)
