"""In CI a test that did not run is a failure, unless the reason is one that was foreseen.

The hooks are those of pytest; ``conftest.py`` takes them in.
"""

import os
from typing import Final

import pytest

#: The only reasons for which a test may be skipped. "no browser" is not one: a user's machine may be without one,
#: but ``.ci/run`` installs it.
ALLOWED: Final = frozenset({"no CUDA", "no shared data"})


def find_disallowed(reports: list[pytest.TestReport | pytest.CollectReport]) -> list[str]:
    """Returns ``test: reason`` for every skipped report whose reason was not foreseen."""
    reasons = {report.nodeid: skip_reason(report) for report in reports}
    return [f"{nodeid}: {reason}" for nodeid, reason in reasons.items() if reason not in ALLOWED]


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Returns the reason as it was given to ``pytest.skip``."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a CI session that is otherwise green."""
    if _disallowed_in_ci(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which skips failed the session."""
    disallowed = _disallowed_in_ci(terminalreporter.config)
    if disallowed:
        terminalreporter.section("skipped for a reason that is not allowed in CI", red=True)
        for line in disallowed:
            terminalreporter.write_line(line)


def _disallowed_in_ci(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None:  # worker processes of pytest-xdist have no reporter
        return []
    return find_disallowed(reporter.stats.get("skipped", []))
