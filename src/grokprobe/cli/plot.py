"""``grokprobe plot``."""

from pathlib import Path
from typing import get_args

import click

from grokprobe.cli.console import FAILED, Session, echo_json, session_options
from grokprobe.cli.table import print_table
from grokprobe.plots.style import ImageFormat
from grokprobe.plots.writing import PlotReport, PlotRequest, carry_out, list_all


@click.command("plot")
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("figures", metavar="[FIGURE]...", nargs=-1)
@click.option("--out", default="figures", show_default=True, type=click.Path(path_type=Path), help="Directory.")
@click.option("--format", "image_format", default="svg", show_default=True, type=click.Choice(get_args(ImageFormat)))
@click.option("--list", "is_list", is_flag=True, help="Say which figures there are, and draw none.")
@session_options
def command(
    session: Session, /, results: Path, figures: tuple[str, ...], out: Path, image_format: ImageFormat, is_list: bool
) -> int:
    """Draws figures of RESULTS, a results store, into OUT/EXPERIMENT.

    A FIGURE is a family such as training or pruning, one figure of it such as pruning.magnitude, a variable such as
    probes/weights/norm, a group such as probes/weights, or a figure that a plugin brings. Without any, every figure is
    drawn for which RESULTS hold what it needs.
    """
    request = PlotRequest(results=results, figures=figures, out=out, image_format=image_format, plugins=session.plugins)
    if is_list:
        rows = list_all(request)
        if session.as_json:
            echo_json([row._asdict() for row in rows])
        else:
            print_table(
                ("experiment", "figure", "drawn", "what"),
                [(*row[:2], "yes" if row[2] else "no", row[3]) for row in rows],
            )
        return 0
    report = carry_out(request, session.progress())
    session.say_all("no figure", [f"{where}: {reason}" for where, reason in report.not_applicable.items()])
    session.say_all(FAILED, [f"{where}: {reason}" for where, reason in report.failed.items()])
    _print(session, report)
    return 3 if report.failed else 0


def _print(session: Session, report: PlotReport) -> None:
    if session.as_json:
        echo_json(
            {"written": list(map(str, report.written)), "no_figure": report.not_applicable, "failed": report.failed}
        )
        return
    for path in report.written:
        click.echo(str(path))
