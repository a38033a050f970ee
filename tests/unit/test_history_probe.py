"""``probes/history.py``: the history of runs that brought none."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import grokprobe
from grokprobe.analysis import AnalysisReport
from grokprobe.derive import compute_arrival
from grokprobe.evaluation import evaluate
from grokprobe.numerics.streams import DATA_STREAM, build_generator
from grokprobe.progress import SilentProgress
from unit.foreign_network import SETTINGS, TASK, P, build_network, write_foreign_run

EPOCHS = [0, 10, 40]
TRAIN = [0, 3, 4, 9, 12, 17, 24]
TEST = [1, 2, 20]


def analyze(root: Path, *settings: str, **options: Any) -> AnalysisReport:
    return grokprobe.analyze(
        root / "runs", out=root / "r.zarr", task="modular_addition", name="foreign", layout="{seed}/{epoch}.pt",
        probes=["weights"], settings=(*SETTINGS, *settings), **options,
    )  # fmt: skip


def history(root: Path) -> Any:
    return grokprobe.open_results(root / "r.zarr")["foreign/history"].to_dataset().load()


def by_hand(epoch: int, seed: int, indices: list[int]) -> tuple[float, float]:
    """Loss and accuracy pair by pair."""
    network = build_network(epoch, seed)
    loss, num_correct = 0.0, 0
    for index in indices:
        a, b = divmod(index, P)
        x = torch.zeros(1, 2 * P)
        x[0, a] = x[0, P + b] = 1
        logits = network(x).detach()[0].double()
        loss += (torch.logsumexp(logits, 0) - logits[(a + b) % P]).item()
        num_correct += int(logits.argmax()) == (a + b) % P
    return loss / len(indices), num_correct / len(indices)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed in (0, 1):
        write_foreign_run(tmp_path / "runs" / str(seed), EPOCHS, seed)
    (tmp_path / "split.json").write_text(json.dumps({"train": TRAIN, "test": TEST}))
    return tmp_path


def test_evaluated_at_the_checkpoints(root: Path) -> None:
    report = analyze(root, f"task.split=indices:{root / 'split.json'}")
    assert (report.exit_code, report.experiments[0].measured["history"]) == (0, (6, 6))
    found = history(root)
    assert found.attrs["source"] == "evaluated at the checkpoints"
    assert found.attrs["chance_accuracy"] == 1 / P
    assert found.epoch.to_numpy().tolist() == EPOCHS
    for seed in (0, 1):
        for epoch in EPOCHS:
            one = found.sel(seed=seed, epoch=epoch).isel(init_scale=0)
            for part, indices in (("train", TRAIN), ("test", TEST)):
                loss, accuracy = by_hand(epoch, seed, indices)
                assert one[f"{part}_loss"].item() == pytest.approx(loss, rel=1e-6)
                assert one[f"{part}_accuracy"].item() == pytest.approx(accuracy, abs=1e-12)
                samples = TASK.population(SilentProgress()).at(torch.tensor(indices))
                evaluated = evaluate(TASK, build_network(epoch, seed), samples)
                assert one[f"{part}_loss"].item() == evaluated.loss


def test_the_summary_follows_from_it(root: Path) -> None:
    analyze(root, f"task.split=indices:{root / 'split.json'}")
    summary = grokprobe.open_results(root / "r.zarr")["foreign/summary"].to_dataset().load()
    assert summary.sizes == {"seed": 2, "init_scale": 1}
    for seed in (0, 1):
        curves = [by_hand(epoch, seed, TRAIN) for epoch in EPOCHS]
        expected = compute_arrival(np.array(EPOCHS), np.array([accuracy for _, accuracy in curves]), 1 / P)
        np.testing.assert_equal(summary.train_epoch.sel(seed=seed).item(), expected)
        assert summary.final_train_loss.sel(seed=seed).item() == pytest.approx(curves[-1][0], rel=1e-6)


def test_without_a_test_split_test_values_are_undefined(root: Path) -> None:
    assert analyze(root, "task.split=all").exit_code == 0
    found = history(root)
    assert (found.status == 1).all()
    assert found.test_loss.isnull().all()
    assert found.test_accuracy.isnull().all()
    loss, accuracy = by_hand(40, 1, list(range(P * P)))
    assert found.train_loss.sel(seed=1, epoch=40).item() == pytest.approx(loss, rel=1e-6)
    assert found.train_accuracy.sel(seed=1, epoch=40).item() == accuracy
    summary = grokprobe.open_results(root / "r.zarr")["foreign/summary"]
    assert summary.test_epoch.isnull().all()


def test_without_a_split_there_is_no_history(root: Path) -> None:
    report = analyze(root)
    assert report.exit_code == 0
    assert set(grokprobe.open_results(root / "r.zarr")["foreign"].children) == {"probes"}


def test_a_seed_stands_for_the_split_of_that_seed(root: Path) -> None:
    assert analyze(root, "task.split=seed:3").exit_code == 0
    split = TASK.split(3, build_generator(3, DATA_STREAM))
    loss, _ = by_hand(10, 0, split.test.tolist())
    assert history(root).test_loss.sel(seed=0, epoch=10).item() == pytest.approx(loss, rel=1e-6)


def test_another_split_is_measured_again(root: Path) -> None:
    analyze(root, "task.split=all")
    report = analyze(root, "task.split=seed:0")
    assert report.experiments[0].measured == {"probes/weights": (6, 0), "history": (6, 6)}
    assert history(root).test_loss.notnull().all()


def test_a_split_file_that_has_changed_is_measured_again(root: Path) -> None:
    setting = f"task.split=indices:{root / 'split.json'}"
    analyze(root, setting)
    (root / "split.json").write_text(json.dumps({"train": TEST, "test": TRAIN}))
    report = analyze(root, setting)
    assert report.experiments[0].measured["history"] == (6, 6)
    loss, _ = by_hand(10, 0, TEST)
    assert history(root).train_loss.sel(seed=0, epoch=10).item() == pytest.approx(loss, rel=1e-6)


def test_a_history_grows_with_its_checkpoints(root: Path) -> None:
    setting = "task.split=seed:0"
    analyze(root, setting)
    write_foreign_run(root / "runs" / "1", [20], seed=1)
    report = analyze(root, setting)
    assert report.experiments[0].measured["history"] == (7, 1)
    found = history(root).isel(init_scale=0)
    assert found.status.sel(epoch=20).to_numpy().tolist() == [0, 1]
    assert math.isnan(found.train_loss.sel(seed=0, epoch=20).item())
    assert not math.isnan(found.train_loss.sel(seed=1, epoch=20).item())


def test_a_network_that_does_not_fit_has_no_history(tmp_path: Path) -> None:
    (tmp_path / "runs" / "0").mkdir(parents=True)
    torch.save({"weight": torch.zeros(3, 3)}, tmp_path / "runs" / "0" / "0.pt")
    report = analyze(tmp_path, "task.split=all")
    assert "history" not in report.experiments[0].measured
