"""The program run as a user runs it: each time a process of its own.

The processes are forked from a server that has imported the heavy libraries once, which a test suite on two cores
needs; :func:`run_python` starts a fresh interpreter where that is the point.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["grokprobe.cli.analyze", "grokprobe.cli.info", "grokprobe.cli.train", "xarray", "zarr", "torch._dynamo"]
)
#: A process that takes longer hangs.
TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a process ended."""

    returncode: int
    stdout: str
    stderr: str


def grokprobe(*arguments: str | Path, cwd: Path | None = None) -> Outcome:
    """Runs ``grokprobe ARGUMENTS``."""
    return run_function(_main, [str(argument) for argument in arguments], cwd=cwd)


def grokprobe_killed(moment: tuple[str, int], *arguments: str | Path) -> Outcome:
    """Runs ``grokprobe ARGUMENTS`` until a moment that :func:`killing_at` knows."""
    return run_function(_main_killed, moment, [str(argument) for argument in arguments])


def run_function(function: Callable[..., None], *arguments: Any, cwd: Path | None = None) -> Outcome:
    """Runs a function of a test module in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        outputs = Path(directory) / "stdout", Path(directory) / "stderr"
        process = _SERVER.Process(target=_run, args=(function, arguments, outputs, cwd))
        process.start()
        process.join(TIMEOUT_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{arguments} did not end in {TIMEOUT_SECONDS} s")
        stdout, stderr = (path.read_text() for path in outputs)
        return Outcome(returncode=process.exitcode, stdout=stdout, stderr=stderr)


def run_python(*arguments: str | Path, cwd: Path | None = None) -> Outcome:
    """Runs a fresh Python interpreter."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return Outcome(returncode=result.returncode, stdout=result.stdout, stderr=result.stderr)


def tree_bytes(root: Path) -> dict[str, bytes]:
    """Every file below ``root`` outside the private directory of a store."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".grokprobe" not in path.relative_to(root).parts
    }


@contextlib.contextmanager
def killing_at(kind: str, number: int) -> Iterator[dict[str, int]]:
    """Sends this process SIGKILL at an event of a store, and counts the events.

    Args:
        kind: ``before`` or ``after`` the ``number``-th rename of a file, or half-way through the ``number``-th line of
            a ledger (``ledger``); anything else only counts.
        number: from 1.
    """
    real_replace, real_write = os.replace, os.write
    counts = {"replace": 0, "ledger": 0}

    def replace(source: Any, target: Any, **options: Any) -> None:
        is_counted = ".grokprobe" not in str(target)
        counts["replace"] += is_counted
        is_moment = is_counted and counts["replace"] == number
        if is_moment and kind == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        real_replace(source, target, **options)
        if is_moment and kind == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    def write(descriptor: int, content: bytes) -> int:
        if b'"inputs"' in bytes(content):
            counts["ledger"] += 1
            if kind == "ledger" and counts["ledger"] == number:
                real_write(descriptor, content[: len(content) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
        return real_write(descriptor, content)

    os.replace, os.write = replace, write  # type: ignore[assignment]
    try:
        yield counts
    finally:
        os.replace, os.write = real_replace, real_write


def _run(
    function: Callable[..., None], arguments: tuple[Any, ...], outputs: tuple[Path, Path], cwd: Path | None
) -> None:
    os.environ.update(NO_COLOR="1", COLUMNS="100")
    if cwd is not None:
        os.chdir(cwd)
    for path, descriptor in zip(outputs, (1, 2), strict=True):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, descriptor)
    sys.stdout, sys.stderr = (os.fdopen(os.dup(descriptor), "w", buffering=1) for descriptor in (1, 2))
    function(*arguments)


def _main(arguments: list[str]) -> None:
    from grokprobe.cli import main

    sys.argv = ["grokprobe", *arguments]
    main(arguments, prog_name="grokprobe")


def _main_killed(moment: tuple[str, int], arguments: list[str]) -> None:
    with killing_at(*moment) as counts:
        try:
            _main(arguments)
        finally:
            print("events", counts["replace"], counts["ledger"], file=sys.stderr)
