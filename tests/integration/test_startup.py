"""Help answers without the heavy libraries."""

import re

from program import run_python

HEAVY = {"torch", "xarray", "zarr", "matplotlib", "numpy", "pydantic", "rich"}


def test_help_imports_nothing_heavy() -> None:
    result = run_python("-X", "importtime", "-m", "grokprobe", "--help")
    assert result.returncode == 0
    assert "analyze" in result.stdout
    imported = {name.split(".")[0] for name in re.findall(r"\| +([\w.]+)$", result.stderr, flags=re.MULTILINE)}
    assert "click" in imported  # the expression finds modules at all
    assert not imported & HEAVY


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, grokprobe; print([name for name in ('torch', 'xarray', 'zarr') if name in sys.modules])"
    assert run_python("-c", script).stdout.strip() == "[]"
