"""The server of the dashboard: whom it answers, what it says when it cannot start, and how it ends."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from program import TIMEOUT_SECONDS, grokprobe, run_function
from unit.made_results import Sweep, write_results

#: The program with Ctrl-C as in a terminal, also where the tests themselves run in the background and ignore it.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from grokprobe.cli import main
main(prog_name="grokprobe")
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("served") / "r.zarr", Sweep(seeds=(0,), epochs=(0, 5)))


@pytest.fixture
def served(store: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "dashboard", store, "--port", "0", "--no-browser", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = "".join(iter(process.stdout.readline, "}\n")) + "}"
    yield process, urlsplit(json.loads(said)["url"]).netloc
    process.kill()
    process.communicate()


def ask(address: str, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
    connection.request("GET", path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(("sent", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_this_machine_alone_is_answered_until_a_signal(served, sent: signal.Signals, expected: int) -> None:
    process, address = served
    assert ask(address, "/", {}) == 200
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert ask(address, "/ws", upgrade | {"Origin": "http://example.org"}) == 403
    with pytest.raises(ConnectionRefusedError):  # another address of this machine
        socket.create_connection(("127.0.0.2", int(address.partition(":")[2])), timeout=TIMEOUT_SECONDS)
    process.send_signal(sent)
    _, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == expected
    assert "Traceback" not in stderr


def test_what_is_wrong_with_the_store_is_said_at_once(tmp_path: Path) -> None:
    outcome = grokprobe("dashboard", tmp_path / "nothing", "--no-browser")
    assert outcome.returncode == 2
    assert "expected a results store, found nothing at" in outcome.stderr


def test_a_port_in_use_is_said(store: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = grokprobe("dashboard", store, "--no-browser", "--port", str(port))
    assert outcome.returncode == 2
    assert f"port {port} cannot be used" in outcome.stderr
    assert "--port 0 takes one that is free" in outcome.stderr


def test_the_extra_is_named_where_it_is_absent(store: Path) -> None:
    outcome = run_function(_run_without_panel, str(store))
    assert outcome.returncode == 2
    assert outcome.stderr.count("\n") == 1
    assert "grokprobe dashboard needs an extra: pip install 'grokprobe[dashboard]'" in outcome.stderr


def _run_without_panel(store: str) -> None:
    from grokprobe.cli import main

    sys.modules["panel"] = None  # type: ignore[assignment]
    main(["dashboard", store], prog_name="grokprobe")
