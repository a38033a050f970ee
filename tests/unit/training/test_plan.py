"""Which runs are computed together."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from grokprobe.errors import CorruptCheckpointError, StoreError, UsageError
from grokprobe.interfaces import Split
from grokprobe.progress import SilentProgress
from grokprobe.training import plan as planning
from grokprobe.training.batch import RunRequest
from grokprobe.training.plan import divide, find_stacking_fault
from grokprobe.training.sweep import plan_runs, register
from grokprobe_tasks.modular_addition import ModularAddition
from unit.training.small_sweep import load_small, plan_small, train_small


def request_runs(seeds: str, scales: Sequence[float]) -> tuple[RunRequest, ...]:
    recipe = load_small({"sweep.seeds": seeds, "sweep.init_scales": list(scales)})
    return plan_runs(recipe, Path("nowhere"), experiment_name="small", recipe_name=None)


@pytest.mark.parametrize(
    ("width", "sizes"),
    [(1, [1] * 15), (2, [2, 2, 1] * 3), (3, [3, 2] * 3), (4, [3, 2] * 3), (5, [5] * 3), (9, [5] * 3), (10, [10, 5])],
)
def test_parts_are_scales_of_one_seed_or_whole_seeds(width: int, sizes: list[int]) -> None:
    requests = request_runs("0-2", [1, 2, 3, 4, 5])
    parts = divide(requests, width)
    assert sorted(map(len, parts)) == sorted(sizes)
    assert [run for part in parts for run in part] == list(requests)
    for part in parts:
        seeds = {run.seed for run in part}
        assert len(seeds) == 1 or len(part) == 5 * len(seeds)


def test_seeds_with_other_scales_are_apart() -> None:
    requests = [run for run in request_runs("0-2", [1, 2]) if (run.seed, run.init_scale) != (1, 2)]
    assert sorted([run.seed for run in part] for part in divide(requests, 100)) == [[0, 0, 2, 2], [1]]


def plans_of(directory: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text())["plan"] for path in sorted(directory.rglob("run.json"))]


def test_the_plan_stands_in_every_manifest(tmp_path: Path) -> None:
    train_small(tmp_path / "one")
    assert plans_of(tmp_path / "one") == [{"form": "plain", "members": [[0, scale]]} for scale in (1.0, 3.0)]
    train_small(tmp_path / "two", members_per_batch=2)
    assert plans_of(tmp_path / "two") == [{"form": "stacked", "members": [[0, 1.0], [0, 3.0]]}] * 2


@pytest.mark.parametrize("begun", [1, 2])
@pytest.mark.parametrize("later", [1, 2, None])
def test_a_run_that_was_begun_keeps_its_plan(tmp_path: Path, begun: int, later: int | None) -> None:
    before = plan_small(tmp_path, members_per_batch=begun)
    train_small(tmp_path, members_per_batch=begun)
    assert plan_small(tmp_path, {"schedule.epochs": 9}, later) == tuple(
        type(batch)(
            form=batch.form, members=batch.members, requests=plan_small(tmp_path, {"schedule.epochs": 9})[i].requests
        )
        for i, batch in enumerate(before)
    )


def test_new_runs_beside_begun_ones_have_a_batch_of_their_own(tmp_path: Path) -> None:
    train_small(tmp_path, members_per_batch=2)
    batches = plan_small(tmp_path, {"sweep.seeds": "0-1"}, members_per_batch=4)
    assert [[(member.seed, member.init_scale) for member in batch.members] for batch in batches] == [
        [(0, 1.0), (0, 3.0)],
        [(1, 1.0), (1, 3.0)],
    ]


def test_a_run_of_before_there_were_plans_stays_plain(tmp_path: Path) -> None:
    train_small(tmp_path)
    for path in tmp_path.rglob("run.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"plan": {}}))
    assert [(batch.form, len(batch.members)) for batch in plan_small(tmp_path, members_per_batch=2)] == [
        ("plain", 1)
    ] * 2


def test_a_short_sweep_is_not_worth_measuring(tmp_path: Path) -> None:
    assert [batch.form for batch in plan_small(tmp_path, members_per_batch=None)] == ["plain", "plain"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({"plain": 1.0, 1: 0.9, 2: 1.2, 4: 1.6, 8: 3.0}, ("stacked", 8)),  # a member 0.9, 0.6, 0.4, 0.375
        ({"plain": 1.0, 1: 0.5, 2: 1.1, 4: 0.1}, ("stacked", 1)),  # wider is slower: no wider one is tried
        ({"plain": 1.0, 1: 2.0, 2: 2.1, 4: 9.0}, ("plain", 1)),
        ({"plain": 1.0, 1: 0.98, 2: 1.94, 4: 9.0}, ("plain", 1)),  # within the noise
    ],
)
def test_the_fastest_way_is_chosen(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[object, float], expected: tuple[str, int]
) -> None:
    monkeypatch.setattr(
        planning,
        "_measure",
        lambda form, requests, *_: seconds["plain" if form == "plain" else len(requests)],
    )
    monkeypatch.setattr(planning, "WORTH_MEASURING", 0.0)
    requests = request_runs("0", [1, 2, 3, 4, 5, 6, 7, 8])
    task = requests[0].recipe.build_task(lambda _: ModularAddition)
    batches = planning.plan_batches(
        requests, task, task.population(SilentProgress()), num_cores=1, members_per_batch=None
    )
    assert {(batch.form, len(batch.members)) for batch in batches} == {expected}


def test_every_core_has_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_measure", lambda form, *_: 1.0)  # the wider the better
    monkeypatch.setattr(planning, "WORTH_MEASURING", 0.0)
    requests = request_runs("0", [1, 2, 3, 4, 5, 6])
    task = requests[0].recipe.build_task(lambda _: ModularAddition)
    population = task.population(SilentProgress())
    batches = planning.plan_batches(requests, task, population, num_cores=2, members_per_batch=None)
    assert [len(batch.members) for batch in batches] == [3, 3]


def test_both_forms_can_be_measured() -> None:
    requests = request_runs("0", [1, 2])
    task = requests[0].recipe.build_task(lambda _: ModularAddition)
    population = task.population(SilentProgress())
    times = [planning._measure(form, requests, task, population) for form in ("plain", "stacked")]
    assert min(times) > 0


class WithBuffers(ModularAddition):
    def build_model(self) -> torch.nn.Sequential:
        return torch.nn.Sequential(super().build_model(), torch.nn.BatchNorm1d(5))


class Frozen(ModularAddition):
    def build_model(self) -> torch.nn.Module:
        model = super().build_model()
        model.input.bias.requires_grad_(False)
        return model


class Shared(ModularAddition):
    def build_model(self) -> torch.nn.Module:
        model = super().build_model()
        model.alias = model.output
        return model


class Unused(ModularAddition):
    def build_model(self) -> torch.nn.Module:
        model = super().build_model()
        model.spare = torch.nn.Linear(2, 2)
        return model


class WithNoise(ModularAddition):
    recipes: ClassVar = ModularAddition.recipes

    def build_model(self) -> torch.nn.Sequential:
        return torch.nn.Sequential(torch.nn.Dropout(0.5), super().build_model())

    def initialise(self, model: torch.nn.Module, generator: torch.Generator) -> None:
        super().initialise(model[1], generator)

    def stacked_form(self) -> None:
        return None


class UnevenSplits(ModularAddition):
    def split(self, seed: int, generator: torch.Generator) -> Split:
        split = super().split(seed, generator)
        return Split(train=split.train[seed:], test=split.test)


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        (WithBuffers, "there are buffers or shared weights in the network of task modular_addition"),
        (Shared, "there are buffers or shared weights in the network of task modular_addition"),
        (Frozen, "there are frozen weights in the network of task modular_addition"),
        (Unused, "the loss does not depend on spare.weight in the network of task modular_addition"),
        (WithNoise, "torch.func refuses the network or loss of task modular_addition: vmap"),
        (UnevenSplits, "the splits of task modular_addition differ in size between seeds"),
    ],
)
def test_what_cannot_be_stacked_is_trained_plainly(tmp_path: Path, task: type[ModularAddition], fault: str) -> None:
    requests = request_runs("0-1", [1, 2])
    bound = requests[0].recipe.build_task(lambda _: task)
    assert fault in find_stacking_fault(requests, bound, bound.population(SilentProgress()))
    with pytest.raises(UsageError, match=f"members_per_batch: expected 1, found 4: {fault}"):
        plan_small(tmp_path, {"sweep.seeds": "0-1"}, members_per_batch=4, find=lambda _: task)


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        ({"form": "plain"}, "plan.members: Field required"),
        ({"form": "fast", "members": [[0, 1.0]]}, "plan.form: Input should be 'plain' or 'stacked'"),
        ({"form": "stacked", "members": 5}, "plan.members"),
        ({"form": "stacked", "members": []}, "expected different members"),
        ({"form": "stacked", "members": [[0, 1.0, 2]]}, "plan.members.0"),
        ({"form": "stacked", "members": [["0", 1.0]]}, "plan.members.0.0"),
        ({"form": "stacked", "members": [[-1, 1.0]]}, "plan.members.0.0"),
        ({"form": "stacked", "members": [[0, 1.0], [0, 1.0]]}, "expected different members"),
        ({"form": "stacked", "members": [[0, 1.0], [1, 1.0], [0, 3.0], [1, 3.0]]}, "those of a seed side by side"),
        ({"form": "stacked", "members": [[0, 1.0], [0, 3.0], [1, 1.0]]}, "equally many members of every seed"),
        ({"form": "stacked", "members": [[7, 1.0]]}, "expected the run itself among plan.members"),
    ],
)
def test_a_plan_that_is_none_is_refused(tmp_path: Path, plan: dict[str, object], fault: str) -> None:
    train_small(tmp_path)
    path = tmp_path / "small" / "seed-0_init_scale-1" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"plan": plan}))
    with pytest.raises(CorruptCheckpointError, match=rf"run\.json: .*{fault}"):
        plan_small(tmp_path)


def test_a_run_without_a_manifest_belongs_to_the_batch_it_was_planned_with(tmp_path: Path) -> None:
    seven = {"sweep.init_scales": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]}
    batches = plan_small(tmp_path, seven, members_per_batch=3)
    register(batches[:1])
    shutil.rmtree(batches[0].requests[1].directory)  # killed before its manifest was written
    again = plan_small(tmp_path, seven, members_per_batch=1)
    assert again[0].members == batches[0].members
    assert {run.member for run in again[0].requests} == set(batches[0].members)
    assert [batch.form for batch in again[1:]] == ["plain"] * 4


def test_a_sweep_that_is_registered_is_divided_once(tmp_path: Path) -> None:
    seven = {"sweep.init_scales": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]}
    batches = plan_small(tmp_path, seven, members_per_batch=3)
    register(batches)
    assert plan_small(tmp_path, seven, members_per_batch=None) == batches


def test_a_run_that_another_training_began_otherwise_is_left_alone(tmp_path: Path) -> None:
    (planned,) = plan_small(tmp_path, members_per_batch=2)
    register(plan_small(tmp_path, members_per_batch=1))
    with pytest.raises(StoreError, match="was begun by another training in the meantime"):
        register([planned])


def test_a_batch_that_can_no_longer_be_stacked_is_refused(tmp_path: Path) -> None:
    train_small(tmp_path, members_per_batch=2)
    with pytest.raises(UsageError, match="was begun as one of several runs computed together: torch"):
        plan_small(tmp_path, {"schedule.epochs": 9}, find=lambda _: WithNoise)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError()])
def test_a_width_that_does_not_fit_into_memory_is_too_wide(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def measure(form: str, requests: Sequence[RunRequest], *_: object) -> float:
        if len(requests) > 2:
            raise error
        return 1.0

    monkeypatch.setattr(planning, "_measure", measure)
    monkeypatch.setattr(planning, "WORTH_MEASURING", 0.0)
    requests = request_runs("0", [1, 2, 3, 4, 5, 6, 7, 8])
    task = requests[0].recipe.build_task(lambda _: ModularAddition)
    population = task.population(SilentProgress())
    batches = planning.plan_batches(requests, task, population, num_cores=1, members_per_batch=None)
    assert [len(batch.members) for batch in batches] == [2] * 4
