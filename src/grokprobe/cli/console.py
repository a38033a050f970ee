"""What every command shares: options, messages on stderr, progress."""

import json
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from grokprobe.errors import GrokprobeWarning
from grokprobe.plugins import PluginSelection
from grokprobe.progress import Progress, SilentProgress

#: Seconds between two plain progress lines where there is no terminal.
LINE_SECONDS: Final = 10.0
#: Lines of one kind shown before the rest is counted; ``-v`` shows all.
SHOWN_LINES: Final = 20
#: Label of lines that are said even if quiet.
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Options that every command has."""

    #: Which plugins to load.
    plugins: PluginSelection
    #: -1 quiet, 0 normal, 1 verbose.
    verbosity: int
    #: Machine-readable output.
    as_json: bool

    def say_all(self, label: str, lines: list[str]) -> None:
        """Prints labelled lines to stderr, the first few unless verbose; if quiet, only what failed."""
        if self.verbosity < 0 and label != FAILED:
            return
        shown = lines if self.verbosity > 0 or label == FAILED else lines[:SHOWN_LINES]
        for line in shown:
            click.echo(f"{label}: {line}", err=True)
        if len(lines) > len(shown):
            click.echo(f"{label}: {len(lines) - len(shown)} more; -v shows them", err=True)

    def progress(self) -> Progress:
        """Returns a progress bar on a terminal, plain lines elsewhere, nothing if quiet."""
        if self.verbosity < 0:
            return SilentProgress()
        console = Console(stderr=True)
        return BarProgress(console) if console.is_terminal else LineProgress()


class BarProgress:
    """A progress bar on a terminal."""

    def __init__(self, console: Console) -> None:
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )

    def start(self, description: str, total: int) -> None:
        """Shows the bar."""
        self._bar.start()
        self._task = self._bar.add_task(description, total=total, note="")

    def advance(self, num_units: int = 1, note: str = "") -> None:
        """Moves it."""
        self._bar.update(self._task, advance=num_units, note=note)

    def finish(self) -> None:
        """Removes it."""
        self._bar.remove_task(self._task)
        self._bar.stop()


class LineProgress:
    """One plain line now and then, for logs."""

    def start(self, description: str, total: int) -> None:
        """Remembers what begins."""
        self._description, self._total, self._done = description, total, 0
        self._shown = time.monotonic()

    def advance(self, num_units: int = 1, note: str = "") -> None:
        """Prints a line if the last one is old."""
        self._done += num_units
        if time.monotonic() - self._shown >= LINE_SECONDS:
            self._shown = time.monotonic()
            click.echo(f"{self._description}: {self._done} of {self._total} {note}".rstrip(), err=True)

    def finish(self) -> None:
        """Says nothing: the command's own last lines do."""


def echo_json(value: Any) -> None:
    """Prints ``value`` as JSON; numbers that JSON does not have (NaN, infinities) as null."""
    click.echo(json.dumps(_finite(value), indent=2, default=str, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def session_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the shared options to a command and passes them as its first argument, a :class:`Session`."""

    @click.option(
        "-p", "plugin", multiple=True, metavar="NAME", help="Load a plugin module; -p no:NAME leaves one out."
    )
    @click.option("--plugins-dir", type=click.Path(path_type=Path), help="Load every .py file of this directory.")
    @click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.")
    @click.option("-v", "--verbose", is_flag=True, help="Print every line, however many.")
    @click.option("--json", "as_json", is_flag=True, help="Print results as JSON.")
    @click.option("--debug", is_flag=True, help="Show where an error came from.")
    @click.pass_context
    def command(ctx: click.Context, /, **options: Any) -> None:
        warnings.showwarning = _ignore_warning if options["quiet"] else _show_warning
        session = Session(
            plugins=PluginSelection.from_environment(options.pop("plugin"), options.pop("plugins_dir")),
            verbosity=options.pop("verbose") - options.pop("quiet"),
            as_json=options.pop("as_json"),
        )
        options.pop("debug")  # read by the group, which handles errors
        exit_code = function(session, **options)
        ctx.exit(exit_code or 0)

    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    return command


def _ignore_warning(*_: Any, **__: Any) -> None:
    """Says nothing."""


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    label = "warning" if issubclass(category, GrokprobeWarning) else category.__name__
    click.echo(f"{label}: {message}", err=True)
