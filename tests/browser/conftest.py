"""A browser for the tests that need one, and a report for those of the report."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.chromium import Browser, find_programs
from browser.report_page import ReportPage
from grokprobe.plots import ExperimentResults, read_experiments
from grokprobe.report import write_report
from unit.made_results import Sweep, write_results


@pytest.fixture(scope="session")
def started_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser a test process; a machine without one skips, which in CI is a failure."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no browser")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")  # of the connection to the driver
        browser = Browser(programs, tmp_path_factory.mktemp("browser"))
        yield browser
        browser.quit()


@pytest.fixture
def browser(started_browser: Browser) -> Browser:
    """The browser with an empty page and nothing logged."""
    started_browser.reset()
    return started_browser


@pytest.fixture(scope="session")
def report_file(started_browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on disk, beside the store ``r.zarr`` that it is about."""
    directory = tmp_path_factory.mktemp("report")
    sweep = Sweep(seeds=(0, 1), epochs=(0, 10, 20, 30, 40), without=("geometry/fisher", "probes/energy"))
    return write_report(write_results(directory / "r.zarr", sweep), directory / "report.html")


@pytest.fixture(scope="session")
def made(report_file: Path) -> ExperimentResults:
    """The store of the report."""
    (results,) = read_experiments(report_file.with_name("r.zarr"))
    return results


@pytest.fixture
def page(browser: Browser, report_file: Path) -> ReportPage:
    """The report, opened from disk."""
    browser.open(report_file)
    return ReportPage(browser)
