"""A sweep writes what its schedule says, continues what is there, and refuses what it cannot continue."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from grokprobe.checkpoints.native import read_history, read_manifest
from grokprobe.errors import CorruptCheckpointError, UsageError
from grokprobe.interfaces import RunCoordinates, Task
from grokprobe.training.learner import build_scaled_model
from grokprobe.training.loop import TrainedCheckpoint
from grokprobe.training.sweep import run_directory_name
from grokprobe_tasks.modular_addition import ModularAddition
from unit.training.small_sweep import find_task, load_small, read_files, train_small

RUN = "small/seed-0_init_scale-1"


class Tally:
    """Adds up progress."""

    def __init__(self) -> None:
        self.total = self.done = self.num_finished = 0

    def start(self, description: str, total: int) -> None:
        self.total = total

    def advance(self, num_units: int = 1, note: str = "") -> None:
        self.done += num_units

    def finish(self) -> None:
        self.num_finished += 1


class NoisyAddition(ModularAddition):
    """Modular addition with a layer that draws random numbers in training."""

    def build_model(self) -> torch.nn.Module:
        model = super().build_model()
        model.relu = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Dropout(0.5))
        return model


def test_the_files_are_those_of_the_schedule(tmp_path: Path) -> None:
    overrides = {"schedule.epochs": 5, "schedule.checkpoints": ["2"], "schedule.history": ["every 2"]}
    report = train_small(tmp_path, overrides)
    assert report.directories == (tmp_path / RUN, tmp_path / "small/seed-0_init_scale-3")
    for directory in report.directories:
        assert sorted(path.name for path in directory.iterdir()) == [
            "epoch-000000.safetensors",
            "epoch-000002.safetensors",
            "epoch-000005.safetensors",
            "history.jsonl",
            "resume.safetensors",
            "run.json",
        ]
        assert [row["epoch"] for row in read_history(directory)] == [0, 2, 4, 5]
    assert [(run.outcome, run.epochs_trained) for run in report.runs] == [("trained", 5)] * 2


def test_epoch_zero_is_the_true_initialisation(tmp_path: Path) -> None:
    train_small(tmp_path)
    task = load_small().build_task(find_task)
    for scale in (1.0, 3.0):
        expected = build_scaled_model(task, RunCoordinates(seed=0, init_scale=scale)).state_dict()
        found = load_file(tmp_path / "small" / run_directory_name(0, scale) / "epoch-000000.safetensors")
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_manifest_identifies_the_run(tmp_path: Path) -> None:
    train_small(tmp_path)
    manifest = read_manifest(tmp_path / RUN)
    assert manifest.recipe == "small"
    assert manifest.parameters == load_small().parameters()
    assert (manifest.seed, manifest.init_scale, manifest.diverged_at) == (0, 1.0, None)
    assert manifest.schedule == {"epochs": 3, "checkpoints": ["every 1"], "history": ["every 1"]}


@pytest.mark.parametrize("reshuffle", [False, True])
def test_equal_runs_are_equal_byte_for_byte(tmp_path: Path, reshuffle: bool) -> None:
    for name in ("first", "second"):
        train_small(tmp_path / name, {"optimizer.reshuffle": reshuffle})
        torch.rand(3)  # what others draw changes nothing
    assert read_files(tmp_path / "first") == read_files(tmp_path / "second")


def test_training_learns(tmp_path: Path) -> None:
    overrides = {"schedule.epochs": 60, "schedule.checkpoints": [], "sweep.init_scales": "1", "model.hidden": 32}
    train_small(tmp_path, overrides)
    rows = read_history(tmp_path / RUN)
    assert rows[-1]["train_loss"] < 0.1 * rows[0]["train_loss"]
    assert rows[-1]["train_accuracy"] == 1.0


@pytest.mark.parametrize("members_per_batch", [1, 2, None])
def test_the_callers_random_state_is_left_alone(tmp_path: Path, members_per_batch: int | None) -> None:
    before = torch.random.get_rng_state()
    train_small(tmp_path, members_per_batch=members_per_batch)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_complete_sweep_is_skipped(tmp_path: Path) -> None:
    train_small(tmp_path)
    before, tally = read_files(tmp_path), Tally()
    report = train_small(tmp_path, progress=tally)
    assert [(run.outcome, run.epochs_trained) for run in report.runs] == [("skipped", 0)] * 2
    assert read_files(tmp_path) == before
    assert (tally.done, tally.total, tally.num_finished) == (6, 6, 1)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_more_epochs_continue_the_run(tmp_path: Path, name: str) -> None:
    train_small(tmp_path / "parts", {"optimizer.name": name})
    tally = Tally()
    report = train_small(tmp_path / "parts", {"optimizer.name": name, "schedule.epochs": 6}, progress=tally)
    train_small(tmp_path / "whole", {"optimizer.name": name, "schedule.epochs": 6})
    assert read_files(tmp_path / "parts") == read_files(tmp_path / "whole")
    assert [(run.outcome, run.epochs_trained) for run in report.runs] == [("resumed", 3)] * 2
    assert (tally.done, tally.total) == (12, 12)


def test_random_layers_continue_exactly(tmp_path: Path) -> None:
    def find_noisy(name: str) -> type[Task]:
        return NoisyAddition

    for name, lengths in (("parts", (2, 4)), ("whole", (4,))):
        for epochs in lengths:
            train_small(tmp_path / name, {"schedule.epochs": epochs}, find=find_noisy)
    assert read_files(tmp_path / "parts") == read_files(tmp_path / "whole")


def test_fewer_epochs_leave_a_longer_run_alone(tmp_path: Path) -> None:
    train_small(tmp_path)
    before = read_files(tmp_path)
    report = train_small(tmp_path, {"schedule.epochs": 2})
    assert [run.outcome for run in report.runs] == ["skipped", "skipped"]
    assert read_files(tmp_path) == before


def test_a_rarer_schedule_keeps_what_is_there(tmp_path: Path) -> None:
    train_small(tmp_path)
    train_small(tmp_path, {"schedule.epochs": 6, "schedule.checkpoints": ["every 6"]})
    assert [path.name[6:12] for path in sorted((tmp_path / RUN).glob("epoch-*"))] == [
        "000000",
        "000001",
        "000002",
        "000003",
        "000006",
    ]


@pytest.mark.parametrize("table", ["checkpoints", "history"])
def test_epochs_that_were_not_kept_cannot_be_asked_for(tmp_path: Path, table: str) -> None:
    train_small(tmp_path, {f"schedule.{table}": ["every 3"]})
    before = read_files(tmp_path)
    with pytest.raises(UsageError, match=rf"schedule\.{table} asks for epochs .*\(1, 2; it stands at epoch 3\)"):
        train_small(tmp_path, {"schedule.epochs": 6})
    assert read_files(tmp_path) == before


def test_another_run_in_the_directory_is_refused_by_its_keys(tmp_path: Path) -> None:
    train_small(tmp_path)
    before = read_files(tmp_path)
    with pytest.raises(UsageError, match=r"optimizer\.lr is 0\.01, asked for 0\.5; task\.p is 5, asked for 7"):
        train_small(tmp_path, {"optimizer.lr": 0.5, "task.p": 7})
    assert read_files(tmp_path) == before


def test_checkpoints_of_others_are_not_touched(tmp_path: Path) -> None:
    run = tmp_path / RUN
    run.mkdir(parents=True)
    save_file({"a": torch.ones(1)}, run / "epoch-000004.safetensors")
    with pytest.raises(UsageError, match=r"found 1 checkpoints and no run\.json"):
        train_small(tmp_path)
    assert [path.name for path in run.iterdir()] == ["epoch-000004.safetensors"]


def test_converted_runs_are_not_continued(tmp_path: Path) -> None:
    train_small(tmp_path)
    (tmp_path / RUN / "resume.safetensors").unlink()
    before = read_files(tmp_path)
    with pytest.raises(UsageError, match=r"found 3 checkpoints and no resume\.safetensors"):
        train_small(tmp_path, {"schedule.epochs": 6})
    assert read_files(tmp_path) == before


def test_a_damaged_resume_state_is_named(tmp_path: Path) -> None:
    train_small(tmp_path)
    path = tmp_path / RUN / "resume.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptCheckpointError, match=r"resume\.safetensors: expected the state to resume from"):
        train_small(tmp_path, {"schedule.epochs": 6})


@pytest.mark.parametrize(
    ("overrides", "epoch"),
    [({"sweep.init_scales": "1e30,1"}, 0), ({"optimizer.lr": 1e25, "sweep.init_scales": "1"}, 1)],
)
def test_a_diverged_run_is_reported_and_stays(tmp_path: Path, overrides: dict[str, object], epoch: int) -> None:
    tally = Tally()
    report = train_small(tmp_path, overrides, progress=tally)
    assert [(run.outcome, run.diverged_at) for run in report.diverged] == [("diverged", epoch)]
    assert all(run.outcome == "trained" for run in report.runs if run not in report.diverged)
    directory = report.diverged[0].directory
    assert json.loads((directory / "run.json").read_text())["diverged_at"] == epoch
    assert [row["epoch"] for row in read_history(directory)] == list(range(epoch))
    assert len(list(directory.glob("epoch-*"))) == epoch
    assert tally.done == tally.total
    before = read_files(tmp_path)
    again = train_small(tmp_path, overrides)
    assert [run.diverged_at for run in again.diverged] == [epoch]
    assert again.epochs_trained == 0
    assert read_files(tmp_path) == before


def test_every_checkpoint_is_told_of_once_it_is_there(tmp_path: Path) -> None:
    told: list[tuple[int, float, int]] = []

    def listen(checkpoint: TrainedCheckpoint) -> None:
        assert load_file(checkpoint.path)
        told.append((checkpoint.seed, checkpoint.init_scale, checkpoint.epoch))

    train_small(tmp_path, on_checkpoint=listen)
    assert told == [(0, scale, epoch) for scale in (1.0, 3.0) for epoch in range(4)]


def test_an_interrupt_leaves_a_run_that_continues(tmp_path: Path) -> None:
    tally = Tally()

    def interrupt(checkpoint: TrainedCheckpoint) -> None:
        if checkpoint.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "parts", progress=tally, on_checkpoint=interrupt)
    assert tally.num_finished == 1
    report = train_small(tmp_path / "parts")
    assert [(run.outcome, run.epochs_trained) for run in report.runs] == [("resumed", 2), ("trained", 3)]
    train_small(tmp_path / "whole")
    assert read_files(tmp_path / "parts") == read_files(tmp_path / "whole")


class Interrupting(Tally):
    """Interrupts after so many epochs."""

    def __init__(self, num_epochs: int) -> None:
        super().__init__()
        self.num_epochs = num_epochs

    def advance(self, num_units: int = 1, note: str = "") -> None:
        super().advance(num_units, note)
        if self.done >= self.num_epochs:
            raise KeyboardInterrupt


RARE = {"schedule.epochs": 5, "schedule.checkpoints": [], "sweep.init_scales": "1"}


@pytest.mark.parametrize(("resume_seconds", "num_left"), [(0.0, 2), (math.inf, 5)])
def test_states_go_by_time_and_not_by_checkpoints(tmp_path: Path, resume_seconds: float, num_left: int) -> None:
    for overrides in (RARE, RARE | {"schedule.checkpoints": ["every 1"]}):
        out = tmp_path / str(len(overrides["schedule.checkpoints"]))
        with pytest.raises(KeyboardInterrupt):
            train_small(out / "parts", overrides, progress=Interrupting(3), resume_seconds=resume_seconds)
        assert train_small(out / "parts", overrides).epochs_trained == num_left
        train_small(out / "whole", overrides, resume_seconds=math.inf)
        assert read_files(out / "parts") == read_files(out / "whole")


def test_rare_rows_are_looked_at_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grokprobe.training.loop.LONGEST_STRETCH", 2)
    overrides = RARE | {"schedule.history": ["every 5"]}
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "parts", overrides, progress=Interrupting(4))
    assert train_small(tmp_path / "parts", overrides).epochs_trained == 1  # looked at after 0, 2 and 4
    train_small(tmp_path / "whole", overrides)
    assert read_files(tmp_path / "parts") == read_files(tmp_path / "whole")


def test_states_go_by_time_where_there_is_nothing_else_to_do(tmp_path: Path) -> None:
    overrides = RARE | {"schedule.history": ["every 5"]}
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "parts", overrides, progress=Interrupting(3), resume_seconds=0.0)
    assert train_small(tmp_path / "parts", overrides).epochs_trained == 2
    train_small(tmp_path / "whole", overrides)
    assert read_files(tmp_path / "parts") == read_files(tmp_path / "whole")


@pytest.mark.parametrize("members_per_batch", [1, 2])
@pytest.mark.parametrize(("stretch", "resume_seconds"), [(1, 0.0), (3, 0.0), (100, math.inf)])
def test_the_epoch_of_a_divergence_does_not_depend_on_when_it_is_looked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    members_per_batch: int,
    stretch: int,
    resume_seconds: float,
) -> None:
    monkeypatch.setattr("grokprobe.training.loop.LONGEST_STRETCH", stretch)
    explosive = {"optimizer.name": "sgd", "optimizer.lr": 10.0, "optimizer.weight_decay": 0.5}
    rare = {"schedule.epochs": 40, "schedule.history": ["every 40"], "schedule.checkpoints": ["40"]}
    tally = Tally()
    report = train_small(
        tmp_path,
        explosive | rare | {"sweep.init_scales": [1.0, 1e6]},
        progress=tally,
        members_per_batch=members_per_batch,
        resume_seconds=resume_seconds,
    )
    assert [(run.diverged_at, run.epochs_trained) for run in report.runs] == [(8, 8), (6, 6)]
    assert tally.done == tally.total
    assert not list(tmp_path.rglob("resume.safetensors"))  # nothing is left to resume


@pytest.mark.parametrize(
    ("scale", "name"), [(10.0, "10"), (0.1, "0.1"), (1e-5, "0.00001"), (0.1234567, "0.1234567"), (2e6, "2000000")]
)
def test_run_directories_are_named_exactly(scale: float, name: str) -> None:
    assert run_directory_name(4, scale) == f"seed-4_init_scale-{name}"


DENSE = {
    "task.p": 7,
    "model.hidden": 32,
    "sweep.init_scales": [1.0, 4.0],
    "schedule.checkpoints": ["0", "every 30", "dense 0.05"],
    "schedule.history": ["every 2"],
}


@pytest.mark.parametrize("members_per_batch", [1, 2])
def test_checkpoints_are_dense_where_the_test_accuracy_moves(tmp_path: Path, members_per_batch: int) -> None:
    report = train_small(tmp_path, DENSE | {"schedule.epochs": 60}, members_per_batch=members_per_batch)
    kept = []
    for run in report.runs:
        rows = {row["epoch"]: row["test_accuracy"] for row in read_history(run.directory)}
        epochs = sorted(int(path.stem.split("-")[1]) for path in run.directory.glob("epoch-*"))
        expected, last = [], math.nan
        for epoch in range(61):
            if epoch % 30 == 0 or (epoch in rows and abs(rows[epoch] - last) >= 0.05):
                expected.append(epoch)
                last = rows[epoch]
        assert epochs == expected
        kept.append(len(epochs))
    assert max(kept) > 3  # more than the schedule alone


@pytest.mark.parametrize("members_per_batch", [1, 2])
@pytest.mark.parametrize("moment", [3, 5, 6])
def test_dense_checkpoints_are_those_of_a_run_that_was_never_interrupted(
    tmp_path: Path, members_per_batch: int, moment: int
) -> None:
    overrides, told = DENSE | {"schedule.epochs": 120}, itertools.count(1)

    def interrupt(checkpoint: TrainedCheckpoint) -> None:
        if next(told) == moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "parts", overrides, on_checkpoint=interrupt, members_per_batch=members_per_batch)
    train_small(tmp_path / "parts", overrides, members_per_batch=members_per_batch)
    train_small(tmp_path / "whole", overrides, members_per_batch=members_per_batch)
    assert read_files(tmp_path / "parts") == read_files(tmp_path / "whole")
