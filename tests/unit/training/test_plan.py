"""Which runs are computed together."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from grokprobe.errors import UsageError
from grokprobe.interfaces import Split
from grokprobe.progress import SilentProgress
from grokprobe.training import plan as planning
from grokprobe.training.batch import RunRequest
from grokprobe.training.plan import divide, find_stacking_fault
from grokprobe.training.sweep import plan_runs
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


def test_what_is_measured_is_the_time_of_an_epoch() -> None:
    requests = request_runs("0", [1, 2])
    task = requests[0].recipe.build_task(lambda _: ModularAddition)
    population = task.population(SilentProgress())
    times = [planning._measure(form, requests, task, population) for form in ("plain", "stacked")]
    assert all(0 < seconds < planning.MEASURED_SECONDS for seconds in times)


class WithBuffers(ModularAddition):
    def build_model(self) -> torch.nn.Sequential:
        return torch.nn.Sequential(super().build_model(), torch.nn.BatchNorm1d(5))


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
        (WithBuffers, "the network of task modular_addition has buffers"),
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
