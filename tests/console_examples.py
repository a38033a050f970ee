"""Runs what a Markdown page shows, in the order of the page and in one directory, and compares what is printed.

In ``console`` blocks the commands that start with ``$ grokprobe`` or ``$ pytest`` are run. Standard output is compared
line by line, and the error output after it where the command fails. On the page ``...`` alone on a line stands for any
number of lines, and within a line for any characters. A command shown without output is only run. A command has to
succeed unless it ends in a comment such as ``# exit 2``.

A ``python`` block is executed; the blocks of one page share their variables. A block of any language whose first line
is a comment with the name of a file, such as ``# my_plugins/small.py``, is written to that file instead.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

PROGRAM: Final = (sys.executable, "-m", "grokprobe")
#: What is run; a command of any other program is for the reader alone.
RUNNABLE: Final = ("grokprobe", "pytest")
#: Kills a command that hangs; no command on a page takes a fraction of it.
TIMEOUT_SECONDS: Final = 600

_BLOCK = re.compile(r"^```(console|python|toml|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"#\s*exit (\d+)\s*$")
_FILE_NAME = re.compile(r"# ([\w./-]+\.(?:py|toml|json))\n")


class ExampleError(AssertionError):
    """A command did not do what its page says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One command of a page."""

    #: What follows the prompt, continuation lines joined.
    command: str
    #: What the page shows it to print; empty where it shows nothing.
    expected: str
    #: The exit status it has to end with.
    exit_status: int = 0

    @property
    def program(self) -> str:
        """The program it runs."""
        return shlex.split(self.command, comments=True)[0]

    @property
    def arguments(self) -> list[str]:
        """What the program is given, split as a shell does."""
        return shlex.split(self.command, comments=True)[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonBlock:
    """Python code to execute."""

    #: The code.
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """A file that the reader is to save."""

    #: Where, relative to the directory of the page's examples.
    name: str
    #: What.
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


#: Runs a command in a directory.
RunExample = Callable[[Example, Path], Any]


def parse_page(page: str) -> Iterator[Example | PythonBlock | PageFile]:
    """Yields what ``page`` shows, in order."""
    for language, block in _BLOCK.findall(page):
        name = _FILE_NAME.match(block)
        if name is not None:
            yield PageFile(name=name[1], content=block)
        elif language == "console":
            yield from _parse_console(block)
        elif language == "python":
            yield PythonBlock(code=block)


def parse_examples(page: str) -> list[Example]:
    """Returns the commands in the console blocks of ``page``, in order."""
    return [step for step in parse_page(page) if isinstance(step, Example)]


def _parse_console(block: str) -> Iterator[Example]:
    joined = block.replace("\\\n", " ")
    for part in re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        if shlex.split(command, comments=True)[:1] in [[name] for name in RUNNABLE]:
            exit_status = _EXIT.search(command)
            yield Example(
                command=command.strip(),
                expected=expected.strip("\n"),
                exit_status=int(exit_status[1]) if exit_status else 0,
            )


def matches(expected: str, found: str) -> bool:
    """Whether ``found`` is what ``expected`` stands for; spaces at the ends of lines do not count."""
    pattern = "".join(_line_pattern(line.rstrip()) for line in expected.strip("\n").split("\n"))
    text = "".join(f"{line.rstrip()}\n" for line in found.strip("\n").split("\n"))
    return re.fullmatch(pattern, text) is not None


def _line_pattern(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return r".*?".join(re.escape(piece) for piece in line.split("...")) + r"\n"


def run_page(page: str, directory: Path, run: RunExample) -> None:
    """Does everything that ``page`` shows, in order; ``directory`` has to be the working directory.

    Raises:
        ExampleError: a command ends with another status or prints something else.
    """
    variables: dict[str, Any] = {"__name__": "example"}
    for number, step in enumerate(parse_page(page), start=1):
        match step:
            case Example():
                check_example(step, run(step, directory))
            case PythonBlock(code=code):
                exec(compile(code, f"<step {number} of the page>", "exec"), variables)  # noqa: S102 - it is our page
            case PageFile(name=name, content=content):
                path = directory / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")


def run_pytest(arguments: Sequence[str]) -> None:
    """Is the program ``pytest``: runs it in this process and exits."""
    sys.exit(pytest.main(list(arguments)))


def run_example(example: Example, directory: Path, program: Sequence[str] = PROGRAM) -> None:
    """Runs ``example`` in ``directory``, in a fresh process.

    Raises:
        ExampleError: it ends with another status or prints something else.
    """
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}
    finished = subprocess.run(
        [*program, *example.arguments],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    check_example(example, Printed(returncode=finished.returncode, stdout=finished.stdout, stderr=finished.stderr))


def check_example(example: Example, printed: Any) -> None:
    """Compares what a command did with what its page shows.

    Args:
        example: the command.
        printed: its ``returncode``, ``stdout`` and ``stderr``, as :class:`Printed` has them.

    Raises:
        ExampleError: they differ.
    """
    if printed.returncode != example.exit_status:
        raise ExampleError(
            f"$ {example.command}\nexpected exit status {example.exit_status}, found {printed.returncode}:\n"
            f"{printed.stdout}{printed.stderr}"
        )
    text = printed.stdout + (printed.stderr if example.exit_status else "")
    if example.expected and not matches(example.expected, text):
        raise ExampleError(f"$ {example.command}\nexpected:\n{example.expected}\n\nfound:\n{text}")
