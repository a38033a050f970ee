"""Ctrl-C and SIGTERM end work cleanly, with the documented exit code."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from program import TIMEOUT_SECONDS, grokprobe

SMALL = ("--set", "task.p=5", "--set", "model.hidden=4", "--jobs", "1", "--init-scales", "1")

#: The program with Ctrl-C as in a terminal, also where the tests themselves run in the background and ignore it.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from grokprobe.cli import main
main(prog_name="grokprobe")
"""


@pytest.mark.parametrize(("sent", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_training_stops_and_goes_on(tmp_path: Path, sent: signal.Signals, expected: int) -> None:
    command = [*SMALL, "--out", str(tmp_path / "runs")]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "train", "modular_addition/demo", *command, "--epochs", "500000"],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not list(tmp_path.rglob("epoch-000005.safetensors")):  # training is under way
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == expected
    assert "the same command goes on from there" in stderr
    assert "Traceback" not in stderr
    (last, *_) = sorted((int(path.stem.split("-")[1]) for path in tmp_path.rglob("epoch-*")), reverse=True)
    goes_on = grokprobe("train", "modular_addition/demo", *command, "--epochs", str(last + 5))
    assert goes_on.returncode == 0, goes_on.stderr
    assert "resumed" in goes_on.stdout


def find_children(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [int(pid) for pid, ppid, state in rows if int(ppid) == parent and not state.startswith("Z")]


def is_alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    # the second run is not finite at once, so that one process is training and the other waits for work
    options = ("--set", "task.p=5", "--set", "model.hidden=4", "--jobs", "2", "--init-scales", "1,1e25")
    command = ["train", "modular_addition/demo", *options, "--members-per-batch", "1", "--epochs", "500000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "grokprobe", *command, "--out", str(tmp_path / "runs")],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + TIMEOUT_SECONDS
    try:
        while not any(
            re.search(r'"diverged_at": *\d', path.read_text()) for path in tmp_path.rglob("run.json")
        ) or not list(tmp_path.rglob("epoch-000005.safetensors")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        children = find_children(process.pid)
    finally:
        process.kill()
        process.wait()
    assert len(children) >= 2
    while any(map(is_alive, children)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
