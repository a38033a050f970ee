"""``grokprobe compare``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import click

from grokprobe.cli.console import FAILED, Session, echo_json, session_options
from grokprobe.cli.table import print_table
from grokprobe.comparison import Comparison, NumberRow, StoreComparison, compare
from grokprobe.comparison.pictures import DrawnPair, draw_pairs
from grokprobe.plots.labels import scale_label
from grokprobe.plots.style import ImageFormat
from grokprobe.report.wording import say_number

#: Significant digits of the table.
_DIGITS = 4


@click.command("compare")
@click.argument("a")
@click.argument("b")
@click.option("--equal-loss", is_flag=True, help="Compare runs where they have equal test loss, not at their ends.")
@click.option("--all", "is_all", is_flag=True, help="Show every number, not the headline numbers alone.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory for figures of both sides.")
@click.option("--format", "image_format", default="svg", show_default=True, type=click.Choice(get_args(ImageFormat)))
@session_options
def command(
    session: Session, /, a: str, b: str, *, equal_loss: bool, is_all: bool, out: Path | None, image_format: ImageFormat
) -> int:
    """Puts two results stores, or runs of them, side by side.

    A and B are STORE[::EXPERIMENT][::seed=0-4][::init_scale=0.1,1]; B without a STORE, as in ::init_scale=10, is of
    that of A. Runs of equal seed and init_scale are compared; where each side has one init_scale they may differ.

    The exit code does not say whether anything differs; "equal" in the output of --json does.
    """
    compared = compare(a, b, at_equal_loss=equal_loss)
    drawn = {}
    if out is not None:
        for pair in compared.experiments:
            name = pair.results_a.name
            drawn[name] = list(draw_pairs(pair, out / name, image_format))
    if session.as_json:
        echo_json(_as_json(compared, drawn, is_all=is_all))
    else:
        _print(session, compared, is_all=is_all)
        for found in drawn.values():
            for figure in found:
                if figure.path:
                    click.echo(str(figure.path))
    faults = [
        f"{name} {figure.name}: {figure.fault}" for name, found in drawn.items() for figure in found if figure.fault
    ]
    session.say_all(FAILED, faults)
    return 3 if faults else 0


def _print(session: Session, compared: StoreComparison, *, is_all: bool) -> None:
    for pair in compared.experiments:
        click.echo(f"A: {pair.a}\nB: {pair.b}\n")
        _print_numbers(pair, is_all=is_all)
        if pair.settings:
            click.echo("")
            print_table(("setting", "A", "B"), [(setting.name, setting.a, setting.b) for setting in pair.settings])
        click.echo("")
        session.say_all("note", list(pair.notes))
        _print_only(pair.only_a, pair.only_b)
    _print_only(compared.only_a, compared.only_b)
    if compared.is_equal:
        click.echo("Nothing differs.")


def _print_numbers(pair: Comparison, *, is_all: bool) -> None:
    rows = pair.numbers if is_all else pair.headlines
    if not rows:
        click.echo("Both sides have no number in common.")
        return
    print_table(
        ("number", "init_scale", "A", "B", "difference", "ratio", "n"),
        [
            (
                row.name,
                "" if row.init_scale is None else scale_label(row.init_scale),
                *(say_number(value, _DIGITS) for value in (row.a, row.b, row.difference, row.ratio)),
                _count(row),
            )
            for row in rows
        ],
    )


def _count(row: NumberRow) -> str:
    return str(row.num_a) if row.num_a == row.num_b else f"{row.num_a}, {row.num_b}"


def _print_only(only_a: tuple[str, ...], only_b: tuple[str, ...]) -> None:
    for side, only in (("A", only_a), ("B", only_b)):
        for name in only:
            click.echo(f"only in {side}: {name}")


def _as_json(compared: StoreComparison, drawn: dict[str, list[DrawnPair]], *, is_all: bool) -> dict[str, Any]:
    return {
        "equal": compared.is_equal,
        "experiments": [
            {
                "a": pair.a,
                "b": pair.b,
                "equal": pair.is_equal,
                "numbers": [
                    {**asdict(row), "equal": row.is_equal} for row in (pair.numbers if is_all else pair.headlines)
                ],
                "settings": [asdict(setting) for setting in pair.settings],
                "only_a": pair.only_a,
                "only_b": pair.only_b,
                "notes": pair.notes,
            }
            for pair in compared.experiments
        ],
        "only_a": compared.only_a,
        "only_b": compared.only_b,
        "figures": [str(figure.path) for found in drawn.values() for figure in found if figure.path],
    }
