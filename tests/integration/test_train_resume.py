"""Training that is killed at any moment and started again ends with the files of a run that never was."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from unit.training.small_sweep import read_files, train_small

TESTS = Path(__file__).resolve().parent.parent
NUM_EPOCHS = 6
#: Killed between the beginning of an epoch and the rename of its resume state. Elsewhere no epoch was lost.
REDONE = {
    *(f"before_rename-{number}" for number in (4, 5, 8, 9, 13)),
    *(f"after_rename-{number}" for number in (4, 8, 13)),
    *(f"torn_write-{number}" for number in (5, 6, 7, 13)),
    *(f"end_of_epoch-{number}" for number in (1, 3, 4, 6)),
}


def test_a_killed_sweep_resumes_byte_for_byte(tmp_path: Path) -> None:
    train_small(tmp_path / "whole", {"optimizer.reshuffle": True})
    expected = read_files(tmp_path / "whole")
    completed = subprocess.run(
        [sys.executable, str(TESTS / "integration" / "killed_training.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert completed.returncode == 0, completed.stderr
    points = [json.loads(line) for line in completed.stdout.splitlines()]
    assert {point["name"] for point in points} > REDONE
    for point in points:
        assert point["killed"] == signal.SIGKILL, point
        assert point["finished"] == 0, (point, completed.stderr)
        assert read_files(tmp_path / point["name"]) == expected, point
    redone = {point["name"]: point["num_begun"] - NUM_EPOCHS for point in points}
    for name, num_epochs in redone.items():  # one more may have begun while the file was being written
        assert int(name in REDONE) <= num_epochs <= int(name in REDONE) + 1, name
