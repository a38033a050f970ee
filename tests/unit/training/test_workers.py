"""Several processes train the same files as one, and give way to each other."""

from pathlib import Path

import pytest
from filelock import FileLock

from grokprobe.errors import StoreError
from grokprobe.plugins import PluginSelection
from grokprobe.training.run_directory import lock_path
from grokprobe.training.sweep import plan_runs
from grokprobe.training.workers import train_in_processes
from unit.training.small_sweep import draw_population, load_small, plan_small, read_files, train_small


class Tally:
    """Counts what a listener is told."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def start(self, description: str, total: int) -> None:
        self.total = total

    def advance(self, num_units: int = 1, note: str = "") -> None:
        self.done += num_units

    def finish(self) -> None:
        pass


def test_two_processes_write_what_one_writes(tmp_path: Path) -> None:
    train_small(tmp_path / "one")
    tally = Tally()
    report = train_in_processes(plan_small(tmp_path / "two"), draw_population(), PluginSelection(), tally, 2)
    assert [run.outcome for run in report.runs] == ["trained", "trained"]
    assert (tally.done, tally.total) == (6, 6)
    assert read_files(tmp_path / "two") == read_files(tmp_path / "one")


def test_a_run_in_training_is_left_alone(tmp_path: Path) -> None:
    requests = plan_runs(load_small(), tmp_path, experiment_name="small", recipe_name="small")
    requests[1].directory.parent.mkdir(parents=True)
    with (
        FileLock(lock_path(requests[1].directory)),
        pytest.raises(StoreError, match=r"init_scale-3 is being trained by another process"),
    ):
        train_small(tmp_path)
    assert [run.outcome for run in train_small(tmp_path).runs] == ["skipped", "trained"]
