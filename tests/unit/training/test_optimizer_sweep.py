"""Learning rates and weight decays of a sweep are experiments of their own, trained in one computation."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from grokprobe.errors import CorruptCheckpointError, RecipeError
from grokprobe.interfaces import RunCoordinates
from grokprobe.progress import SilentProgress
from grokprobe.training.ensemble import PlainEnsemble
from grokprobe.training.plan import plan_batches
from grokprobe.training.stacked import StackedEnsemble
from grokprobe.training.sweep import plan_runs
from unit.training.small_sweep import find_task, load_small, plan_small, read_files, train_small

SWEEP = {"sweep.lr": [0.01, 0.1], "sweep.weight_decay": [0.0, 0.3], "sweep.seeds": "0-1"}


def test_each_pair_is_a_recipe() -> None:
    variants = load_small(SWEEP).variants()
    pairs = [(variant.optimizer.lr, variant.optimizer.weight_decay) for variant in variants]
    assert pairs == [(0.01, 0.0), (0.01, 0.3), (0.1, 0.0), (0.1, 0.3)]
    assert all(variant.variants() == (variant,) for variant in variants)
    assert variants[3].parameters() == load_small({"optimizer.lr": 0.1, "optimizer.weight_decay": 0.3}).parameters()


def test_without_a_sweep_of_them_a_recipe_is_its_variant() -> None:
    assert load_small().variants() == (load_small(),)


@pytest.mark.parametrize("value", ["0.01,0.1", [0.01, 0.1]])
def test_a_list_is_a_text_or_an_array(value: object) -> None:
    assert load_small({"sweep.lr": value}).sweep.lr == (0.01, 0.1)
    assert load_small({"sweep.lr": 0.5}).sweep.lr == (0.5,)


@pytest.mark.parametrize(
    ("key", "value"),
    [("sweep.lr", [0.0]), ("sweep.lr", [0.1, 0.1]), ("sweep.lr", "fast"), ("sweep.weight_decay", [-1.0])],
)
def test_what_is_no_list_of_them_is_refused(key: str, value: object) -> None:
    with pytest.raises(RecipeError, match=key.replace(".", r"\.")):
        load_small({key: value})


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_members_are_the_runs_alone_with_their_optimizer(name: str) -> None:
    tables = [variant.optimizer for variant in load_small(SWEEP | {"optimizer.name": name}).variants()]
    task = load_small().build_task(find_task)
    members = [RunCoordinates(seed=seed, init_scale=2.0) for seed in (0, 3) for _ in tables]
    kinds = (StackedEnsemble, PlainEnsemble)
    stacked, plain = (
        kind(task, task.population(SilentProgress()), 2 * tables, members, torch.device("cpu")) for kind in kinds
    )
    for epoch in range(1, 11):
        torch.testing.assert_close(stacked.train_epoch(epoch), plain.train_epoch(epoch), rtol=1e-4, atol=1e-6)
    for member in range(len(members)):
        found, expected = stacked.state(member), plain.state(member)
        assert found.keys() == expected.keys()
        for key, tensor in expected.items():
            torch.testing.assert_close(found[key], tensor, rtol=1e-3, atol=1e-5)
    first, last = stacked.parameters(0), stacked.parameters(3)
    assert not torch.equal(first["input.weight"], last["input.weight"])


def test_they_share_a_batch_and_the_plan_says_so(tmp_path: Path) -> None:
    train_small(tmp_path, SWEEP, members_per_batch=100)
    manifests = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("run.json"))]
    assert len(manifests) == 16
    (plan,) = {json.dumps(manifest["plan"], sort_keys=True) for manifest in manifests}
    optimizers = json.loads(plan)["optimizers"]
    assert optimizers == 2 * [[lr, decay] for lr in (0.01, 0.1) for decay in (0.0, 0.3) for _ in range(2)]
    pairs = {
        (one["parameters"]["optimizer"]["lr"], one["parameters"]["optimizer"]["weight_decay"]) for one in manifests
    }
    assert sorted(pairs) == [(0.01, 0.0), (0.01, 0.3), (0.1, 0.0), (0.1, 0.3)]


@pytest.mark.parametrize("members_per_batch", [1, 2, 8, 16])
def test_a_member_of_a_sweep_is_that_of_its_own_experiment(tmp_path: Path, members_per_batch: int) -> None:
    report = train_small(tmp_path / "sweep", SWEEP, members_per_batch=members_per_batch)
    assert [run.directory.parent.name for run in report.runs] == [
        f"small-lr={lr}-wd={decay}" for lr in (0.01, 0.1) for decay in (0.0, 0.3) for _ in range(4)
    ]
    own = {"optimizer.lr": 0.1, "optimizer.weight_decay": 0.3, "sweep.seeds": "0-1"}
    train_small(tmp_path / "own", own, members_per_batch=min(members_per_batch, 4))
    alone = sorted((tmp_path / "own" / "small").rglob("epoch-*"))
    assert len(alone) == 16
    for path in alone:  # to rounding: a kernel's last elements depend on how many there are
        found = load_file(tmp_path / "sweep" / "small-lr=0.1-wd=0.3" / path.parent.name / path.name)
        for name, tensor in load_file(path).items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-6)


def test_one_experiment_goes_on_in_the_batch_of_all(tmp_path: Path) -> None:
    train_small(tmp_path / "whole", SWEEP | {"schedule.epochs": 5}, members_per_batch=16)
    train_small(tmp_path / "parts", SWEEP | {"schedule.epochs": 2}, members_per_batch=16)
    recipe = load_small(SWEEP | {"schedule.epochs": 5}).variants()[2]
    requests = plan_runs(recipe, tmp_path / "parts", experiment_name="small-lr=0.1-wd=0.0", recipe_name="small")
    task = recipe.build_task(find_task)
    (batch,) = plan_batches(requests, task, task.population(SilentProgress()), num_cores=1, members_per_batch=None)
    assert batch.members == plan_small(tmp_path / "parts", SWEEP | {"schedule.epochs": 5})[0].members
    assert len(batch.members) == 16
    assert len(batch.requests) == 4
    train_small(tmp_path / "parts", SWEEP | {"schedule.epochs": 5}, members_per_batch=None)
    assert read_files(tmp_path / "parts") == read_files(tmp_path / "whole")


@pytest.mark.parametrize(
    ("optimizers", "fault"),
    [
        ([[0.1, 0.0]], "expected as many optimizers as members"),
        ([[0.0, 0.0], [0.1, 0.0]], "plan.optimizers.0.0"),
        ([[0.5, 0.0], [0.6, 0.0]], "expected the run itself among plan.members"),
    ],
)
def test_a_plan_with_other_optimizers_is_refused(tmp_path: Path, optimizers: object, fault: str) -> None:
    train_small(tmp_path, members_per_batch=2)
    for path in tmp_path.rglob("run.json"):
        manifest = json.loads(path.read_text())
        manifest["plan"]["optimizers"] = optimizers
        path.write_text(json.dumps(manifest))
    with pytest.raises(CorruptCheckpointError, match=fault):
        plan_small(tmp_path)
