"""The server of a dashboard, which answers this machine alone."""

import logging
import signal
import socket
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import panel as pn

from grokprobe.dashboard.opened import OpenedStore, open_store
from grokprobe.dashboard.page import DashboardPage
from grokprobe.errors import GrokprobeError, UsageError
from grokprobe.plugins import PluginSelection, load_plugins

#: The only address that is listened at: nobody but this machine reaches it.
ADDRESS: Final = "127.0.0.1"
#: What ends it.
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardRequest:
    """What to serve."""

    #: The results store, or its URL.
    results: Path
    #: Port to listen at; 0 for any that is free.
    port: int = 5006
    #: Whether to open a browser.
    opens_browser: bool = True
    #: Whose own figures are shown.
    plugins: PluginSelection = field(default_factory=PluginSelection)


def serve_dashboard(request: DashboardRequest, on_start: Callable[[str], None]) -> signal.Signals:
    """Serves the dashboard of a store until a signal ends it.

    Args:
        request: what to serve.
        on_start: is given the address as soon as it answers.

    Returns:
        The signal.

    Raises:
        UsageError: there is no results store, it is empty, or the port is in use.
        StoreError: its format is newer than this version, or it cannot be reached.
    """
    for name in ("bokeh", "tornado.access"):  # which say on stderr that a reader closed a page
        logging.getLogger(name).setLevel(logging.ERROR)
    plugins = load_plugins(request.plugins)

    def reopen() -> OpenedStore:
        return open_store(request.results, plugins)

    first = reopen()  # what is wrong with the store is said before anything is served

    def build() -> Any:
        query = {key: values[-1].decode(errors="replace") for key, values in pn.state.session_args.items()}
        try:
            return DashboardPage(reopen(), reopen, query).template()
        except GrokprobeError as error:  # a store that has gone since
            return DashboardPage(first, reopen, query, fault=str(error)).template()

    port = request.port or _find_port()
    try:
        server = pn.serve(
            {"/": build},
            port=port,
            address=ADDRESS,
            websocket_origin=[f"{ADDRESS}:{port}", f"localhost:{port}"],
            show=False,
            start=False,
            location=False,
            verbose=False,
        )
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be used ({error.strerror or error}); --port 0 takes one that is free"
        ) from error
    return _run(server, lambda: _announce(f"http://{ADDRESS}:{port}/", request, on_start))


def _announce(address: str, request: DashboardRequest, on_start: Callable[[str], None]) -> None:
    on_start(address)
    if request.opens_browser:
        webbrowser.open(address)


def _run(server: Any, on_start: Callable[[], None]) -> signal.Signals:
    """Serves until a signal, which ends between two callbacks and never within one."""
    loop = server.io_loop.asyncio_loop
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        received.append(number)
        server.io_loop.stop()

    for number in _ENDING:
        loop.add_signal_handler(number, end, number)
    server.start()
    server.io_loop.add_callback(on_start)
    try:
        server.io_loop.start()
    finally:
        for number in _ENDING:
            loop.remove_signal_handler(number)
        server.stop()
    return received[0]


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]
