import warnings
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from grokprobe.cli import console, info, main
from grokprobe.cli.console import SHOWN_LINES, BarProgress, LineProgress, Session, session_options
from grokprobe.errors import GrokprobeWarning
from grokprobe.plugins import PluginSelection
from grokprobe.progress import SilentProgress


def session(verbosity: int = 0) -> Session:
    return Session(plugins=PluginSelection(), verbosity=verbosity, as_json=False)


@pytest.mark.parametrize(("verbosity", "num_lines"), [(-1, 0), (0, SHOWN_LINES + 1), (1, SHOWN_LINES + 5)])
def test_many_lines_are_counted(capsys: pytest.CaptureFixture[str], verbosity: int, num_lines: int) -> None:
    session(verbosity).say_all("note", [f"line {i}" for i in range(SHOWN_LINES + 5)])
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert (out, len(lines)) == ("", num_lines)
    if verbosity == 0:
        assert lines[0] == "note: line 0"
        assert lines[-1] == "note: 5 more; -v shows them"


def test_a_few_lines_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    session().say_all("note", ["only"])
    session().say_all("note", [])
    assert capsys.readouterr().err == "note: only\n"


def test_progress_fits_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(session(-1).progress(), SilentProgress)
    assert isinstance(session().progress(), LineProgress)
    monkeypatch.setattr(console, "Console", lambda stderr: Console(stderr=stderr, force_terminal=True))
    assert isinstance(session().progress(), BarProgress)


def test_plain_progress_prints_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    progress = LineProgress()
    progress.start("measuring", 100)
    for second in range(25):
        now[0] = second
        progress.advance(2, f"seed {second}")
    progress.finish()
    assert capsys.readouterr().err.splitlines() == ["measuring: 22 of 100 seed 10", "measuring: 42 of 100 seed 20"]


def test_a_bar_can_be_used_again(capsys: pytest.CaptureFixture[str]) -> None:
    progress = BarProgress(Console(stderr=True, force_terminal=True, width=100))
    for description in ("reading", "measuring"):
        progress.start(description, 3)
        progress.advance(1, "seed 0")
        progress.finish()
    assert capsys.readouterr().out == ""


def run(*arguments: str, environment: dict[str, str] | None = None) -> tuple[Result, list[Any]]:
    """Runs a command that has nothing but the shared options."""
    sessions: list[Session] = []

    @click.command("probe")
    @session_options
    def command(session: Session, /) -> int:
        sessions.append(session)
        warnings.warn("a seed is assumed", GrokprobeWarning, stacklevel=1)
        return 3

    shown, env = warnings.showwarning, {"GROKPROBE_PLUGINS": ""} | (environment or {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            return CliRunner().invoke(command, list(arguments), env=env), sessions
    finally:
        warnings.showwarning = shown


def test_shared_options() -> None:
    result, (found,) = run("-p", "a", "-p", "no:b", "--plugins-dir", "plugins", "-v", "--json")
    assert found.plugins == PluginSelection(requested=("a", "no:b"), directory=Path("plugins"))
    assert (found.verbosity, found.as_json, result.exit_code) == (1, True, 3)
    _, (plain,) = run(environment={"GROKPROBE_PLUGINS": "c"})
    assert plain == Session(plugins=PluginSelection(requested=("c",)), verbosity=0, as_json=False)
    _, (quiet,) = run("-q")
    assert quiet.verbosity == -1


def test_a_warning_is_one_line_on_stderr() -> None:
    result, _ = run()
    assert result.stderr == "warning: a seed is assumed\n"
    assert result.stdout == ""


def test_quiet_is_results_and_errors_only() -> None:
    result, _ = run("-q")
    assert result.stderr == ""


@pytest.mark.parametrize("arguments", [["analyse"], ["analyze", "x", "--prober"], ["info"]])
def test_usage_errors_exit_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert {"train", "analyze", "info", "plugins"} <= {line.split()[0] for line in result.output.splitlines() if line}


def test_an_unexpected_error_is_called_a_bug(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(info, "discover", fail)
    result = CliRunner().invoke(main, ["info", str(tmp_path)])
    assert result.exit_code == 1
    assert "this is a bug: ZeroDivisionError: by zero" in result.stderr
