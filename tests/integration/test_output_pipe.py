"""Whoever reads the output may stop reading."""

import subprocess
import sys


def test_a_reader_that_goes_away_is_no_bug() -> None:
    command = [sys.executable, "-m", "grokprobe", "plugins"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        assert program.stderr.read() == ""
        assert program.wait(timeout=120) == 141
