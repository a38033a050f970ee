"""The example of the README does what it says."""

import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from grokprobe.cli import main
from grokprobe.plugins import load_plugins
from grokprobe_llc import LlcOptions

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "llc" not in entry_points(group="grokprobe").names:  # not installed, only on the path
        monkeypatch.setenv("GROKPROBE_PLUGINS", "grokprobe_llc")
    load_plugins.cache_clear()
    commands = re.findall(r"^\$ grokprobe (.*)$", "".join(blocks("console")), re.MULTILINE)
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(command), prog_name="grokprobe")
        assert ended.value.code in (0, None)
    assert len(commands) == 2
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - the example itself
    load_plugins.cache_clear()


def test_every_option_is_listed():
    rows = re.findall(r"^\| (`.*?) \|", README.partition("## Options")[2], re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", "".join(rows))) == set(LlcOptions.model_fields)
