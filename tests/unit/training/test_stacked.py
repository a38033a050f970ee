"""Members of a batch are the runs they would be alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from grokprobe.interfaces import RunCoordinates
from grokprobe.progress import SilentProgress
from grokprobe.training.ensemble import PlainEnsemble
from grokprobe.training.learner import Learner
from grokprobe.training.stacked import StackedEnsemble
from grokprobe_tasks.modular_addition import ModularAddition
from unit.training.small_sweep import find_task, load_small, read_files, train_small

MEMBERS = tuple(RunCoordinates(seed=seed, init_scale=scale) for seed in (0, 3) for scale in (0.5, 1.0, 3.0))
#: Largest difference of a parameter from that of the same run trained alone, after 100 steps, relative to the largest.
TOLERANCE = 1e-3


class WithoutForm(ModularAddition):
    """The same task without a form of its own, so that torch.func makes one."""

    recipes: ClassVar[Mapping[str, str]] = ModularAddition.recipes

    def stacked_form(self) -> None:
        return None


KINDS = pytest.mark.parametrize("kind", [ModularAddition, WithoutForm])


def build(
    kind: type[ModularAddition],
    overrides: Mapping[str, Any] | None = None,
    members=MEMBERS,
    ensemble=None,
    device="cpu",
):
    recipe = load_small(overrides)
    task = recipe.build_task(lambda _: kind)
    population = task.population(SilentProgress())
    return (ensemble or StackedEnsemble)(
        task, population, [recipe.optimizer] * len(members), members, torch.device(device)
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@KINDS
@pytest.mark.parametrize("reshuffle", [False, True])
def test_a_gpu_gives_the_numbers_of_a_processor(kind: type[ModularAddition], reshuffle: bool) -> None:
    overrides = {"optimizer.reshuffle": reshuffle}
    here, there = build(kind, overrides), build(kind, overrides, device="cuda")
    for epoch in range(1, 34):
        torch.testing.assert_close(here.train_epoch(epoch), there.train_epoch(epoch).cpu(), rtol=1e-3, atol=1e-6)
    for member in range(len(MEMBERS)):
        assert largest_difference(there.parameters(member), here.parameters(member)) < TOLERANCE
    for found, expected in zip(there.evaluate(33), here.evaluate(33), strict=True):
        assert found == pytest.approx(expected, rel=1e-3)


def largest_difference(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> float:
    assert list(found) == list(expected)
    assert all(bool(tensor.isfinite().all()) for tensor in found.values())
    return max(
        float((found[name] - expected[name]).abs().max() / expected[name].abs().max().clamp(min=1e-6))
        for name in expected
    )


@KINDS
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("reshuffle", [False, True])
def test_members_are_the_runs_alone_over_100_steps(
    kind: type[ModularAddition], optimizer: str, reshuffle: bool
) -> None:
    overrides = {"optimizer.name": optimizer, "optimizer.reshuffle": reshuffle, "optimizer.weight_decay": 0.01}
    stacked, plain = build(kind, overrides), build(kind, overrides, ensemble=PlainEnsemble)
    assert stacked.num_steps == plain.num_steps == 3
    for epoch in range(1, 34):
        sums = stacked.train_epoch(epoch), plain.train_epoch(epoch)
        torch.testing.assert_close(*sums, rtol=1e-3, atol=1e-6)
    for member in range(len(MEMBERS)):
        assert largest_difference(stacked.parameters(member), plain.parameters(member)) < TOLERANCE


@KINDS
def test_one_step_differs_by_rounding_only(kind: type[ModularAddition]) -> None:
    overrides = {"optimizer.name": "sgd"}
    stacked, plain = build(kind, overrides), build(kind, overrides, ensemble=PlainEnsemble)
    for ensemble in (stacked, plain):
        ensemble.train_epoch(1, max_steps=1)
    for member in range(len(MEMBERS)):
        assert 0 <= largest_difference(stacked.parameters(member), plain.parameters(member)) < 1e-6


@KINDS
def test_the_history_is_that_of_the_plain_form(kind: type[ModularAddition]) -> None:
    stacked, plain = build(kind), build(kind, ensemble=PlainEnsemble)
    for found, expected in zip(stacked.evaluate(5), plain.evaluate(5), strict=True):
        assert list(found) == list(expected)
        assert found == pytest.approx(expected, rel=1e-5)
    assert stacked.has_test


@KINDS
def test_a_member_does_not_depend_on_what_the_others_hold(kind: type[ModularAddition]) -> None:
    first, second = build(kind), build(kind)
    state = second.state(1)
    second.load_state(1, {name: tensor * 7 - 1 if "model." in name else tensor for name, tensor in state.items()})
    for ensemble in (first, second):
        ensemble.train_epoch(1)
    for member in (0, 2, 5):
        for name, tensor in first.parameters(member).items():
            assert torch.equal(tensor, second.parameters(member)[name]), name
    assert largest_difference(first.parameters(1), second.parameters(1)) > 0.1
    rows = first.evaluate(1), second.evaluate(1)
    assert [rows[0][member] for member in (0, 2)] == [rows[1][member] for member in (0, 2)]


@KINDS
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_state_is_all_that_the_next_epoch_depends_on(kind: type[ModularAddition], optimizer: str) -> None:
    whole, resumed = build(kind, {"optimizer.name": optimizer}), build(kind, {"optimizer.name": optimizer})
    whole.train_epoch(1)
    for member in range(len(MEMBERS)):
        resumed.load_state(member, whole.state(member))
    whole.train_epoch(2)
    resumed.train_epoch(2)
    for member in range(len(MEMBERS)):
        for name, tensor in whole.state(member).items():
            assert torch.equal(tensor, resumed.state(member)[name]), name


@KINDS
def test_a_state_is_named_as_that_of_a_learner(kind: type[ModularAddition]) -> None:
    stacked, plain = build(kind), build(kind, ensemble=PlainEnsemble)
    for ensemble in (stacked, plain):
        ensemble.train_epoch(1)
    shapes = [
        {name: (tensor.shape, tensor.dtype) for name, tensor in ensemble.state(0).items()}
        for ensemble in (stacked, plain)
    ]
    assert shapes[0] == shapes[1]


def test_a_plain_ensemble_is_its_learners() -> None:
    recipe = load_small()
    task = recipe.build_task(find_task)
    population = task.population(SilentProgress())
    ensemble = build(ModularAddition, ensemble=PlainEnsemble)
    learner = Learner(task, population, recipe.optimizer, MEMBERS[4], torch.device("cpu"))
    ensemble.train_epoch(1)
    learner.train_epoch(1)
    for name, tensor in learner.state().items():
        assert torch.equal(tensor, ensemble.state(4)[name]), name


def test_batches_resume_to_the_same_bytes_wherever_their_members_stand(tmp_path: Path) -> None:
    sweep = {"sweep.seeds": "0-1"}
    train_small(tmp_path / "whole", sweep | {"schedule.epochs": 6}, members_per_batch=4)
    train_small(tmp_path / "parts", sweep | {"schedule.epochs": 2}, members_per_batch=4)
    one_scale = sweep | {"sweep.init_scales": [3.0], "schedule.epochs": 4}
    report = train_small(tmp_path / "parts", one_scale, members_per_batch=4)  # the others are computed and not kept
    assert [(run.outcome, run.epochs_trained) for run in report.runs] == [("resumed", 2)] * 2
    report = train_small(tmp_path / "parts", sweep | {"schedule.epochs": 6}, members_per_batch=None)
    assert [run.epochs_trained for run in report.runs] == [4, 2, 4, 2]
    assert read_files(tmp_path / "parts") == read_files(tmp_path / "whole")


def test_a_member_that_diverges_ends_alone(tmp_path: Path) -> None:
    overrides = {"optimizer.name": "sgd", "optimizer.lr": 1e6, "sweep.init_scales": [1e-30, 1e10], "schedule.epochs": 4}
    report = train_small(tmp_path, overrides, members_per_batch=2)
    alone = train_small(tmp_path / "alone", overrides | {"sweep.init_scales": [1e10]})
    by_scale = {run.init_scale: run for run in report.runs}
    assert by_scale[1e10].outcome == alone.runs[0].outcome == "diverged"
    assert by_scale[1e10].diverged_at == alone.runs[0].diverged_at
    assert len(list(by_scale[1e-30].directory.glob("epoch-*"))) > len(list(by_scale[1e10].directory.glob("epoch-*")))
