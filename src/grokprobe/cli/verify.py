"""``grokprobe verify``."""

from dataclasses import asdict

import click

from grokprobe.cli.console import Session, echo_json, session_options
from grokprobe.store import Verification, verify


@click.command("verify")
@click.argument("results")
@click.option("--repair", is_flag=True, help="Mark what is damaged as missing, so that analyze measures it again.")
@session_options
def command(session: Session, /, results: str, *, repair: bool) -> int:
    """Reads every chunk of RESULTS through its checksums, and compares status and metadata with the ledger.

    Whatever is not as it was written is listed by group, variable, run and epochs, and the exit status is 3. Nothing is
    changed without --repair.
    """
    found = verify(results, repair=repair, progress=session.progress())
    if session.as_json:
        content = asdict(found)
        for fault in content["faults"]:
            fault["part"] = fault["part"].value
        echo_json(content)
    else:
        _print(found)
    session.say_all("note", list(_notes(found)))
    return found.exit_code


def _print(found: Verification) -> None:
    for fault in found.faults:
        click.echo(f"bad: {fault}")
    click.echo(
        f"{found.results}: {found.num_groups} groups, {found.num_results} results, {found.num_chunks} chunks:"
        f" {len(found.faults) or 'nothing'} bad"
    )
    if found.is_repaired:
        click.echo("What was bad is marked as missing. The same grokprobe analyze command measures it again.")
    elif found.faults:
        click.echo(
            f"To mend it: grokprobe verify --repair {found.results}, then the same grokprobe analyze command again."
        )


def _notes(found: Verification) -> list[str]:
    notes = []
    if found.is_unfinished:
        notes.append("the last analysis did not come to its end; the same command again goes on")
    if found.num_unlisted:
        notes.append(f"{found.num_unlisted} results are not in the ledger; an analysis measures them again")
    if found.leftovers:
        notes.append(f"{len(found.leftovers)} leftovers of killed processes; grokprobe compact removes them")
    return notes
