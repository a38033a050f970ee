"""A skip for an unforeseen reason fails a CI session, and only that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def run_session(directory: Path, source: str, *arguments: str, ci: bool) -> subprocess.CompletedProcess[str]:
    (directory / "test_example.py").write_text(source)
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
    environment |= {"PYTHONPATH": str(HERE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | ({"CI": "true"} if ci else {})
    command = [sys.executable, "-m", "pytest", "-p", "skip_reasons", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


SKIPPED = "import pytest\n\ndef test_skipped():\n    pytest.skip({reason!r})\n\ndef test_run():\n    pass\n"
NOT_IMPORTED = "import pytest\npytest.importorskip('no_such_module')\n\ndef test_run():\n    pass\n"


@pytest.mark.parametrize(
    ("reason", "arguments"),
    [("too slow today", ()), ("no browser", ("-p", "xdist", "-n", "1"))],
    ids=["one process", "xdist"],
)
def test_unforeseen_reason_fails_in_ci(tmp_path, reason, arguments):
    session = run_session(tmp_path, SKIPPED.format(reason=reason), *arguments, ci=True)
    assert session.returncode == 1
    assert f"test_example.py::test_skipped: {reason}" in session.stdout
    assert session.stdout.strip().splitlines()[-1].strip("= ").startswith("1 passed, 1 skipped")


def test_missing_module_fails_in_ci(tmp_path):
    session = run_session(tmp_path, NOT_IMPORTED, ci=True)
    assert session.returncode != 0
    assert "could not import 'no_such_module'" in session.stdout


@pytest.mark.parametrize("reason", ["no CUDA", "no shared data"])
def test_foreseen_reason_passes_in_ci(tmp_path, reason):
    assert run_session(tmp_path, SKIPPED.format(reason=reason), ci=True).returncode == 0


@pytest.mark.parametrize("reason", ["too slow today", "no browser"])
def test_any_reason_passes_at_home(tmp_path, reason):
    session = run_session(tmp_path, SKIPPED.format(reason=reason), "-ra", ci=False)
    assert session.returncode == 0
    assert f"SKIPPED [1] test_example.py:4: {reason}" in session.stdout
