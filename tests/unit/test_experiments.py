from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grokprobe.checkpoints import CheckpointRef, Run
from grokprobe.errors import UsageError
from grokprobe.experiments import (
    Experiment,
    Identification,
    default_parameters,
    experiment_name,
    flatten,
    group_runs,
    rename,
)
from grokprobe.placing import SeedNumbers
from grokprobe_tasks.modular_addition import ModularAddition
from unit.training.small_sweep import find_task

SHAPES = {"a.weight": (4, 3)}
BuildRun = Callable[..., Run]


def build_run(path: str = "run", epochs: tuple[int, ...] = (0, 1), **given: Any) -> Run:
    """A stranger's run about which nothing is known but what is given."""
    checkpoints = tuple(
        CheckpointRef(path=Path(path) / f"{epoch}.pt", epoch=epoch, step=None, size=1, modified_ns=0)
        for epoch in epochs
    )
    nothing = Run(
        path=Path(path), seed=None, init_scale=None, recipe=None, parameters={}, split=None, checkpoints=checkpoints,
        shapes=SHAPES, epoch_units="epochs", sources={}, is_native=False,
    )  # fmt: skip
    return replace(nothing, **given)


def native_run(path: str, recipe: str | None = "modular_addition/paper", **given: Any) -> Run:
    parameters = default_parameters(ModularAddition)
    return build_run(
        path, recipe=recipe, parameters=parameters, is_native=True,
        **{"seed": 0, "init_scale": 1.0, "split": "seed:0"} | given,
    )  # fmt: skip


def group(
    *runs: Run,
    task: str | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    held: Mapping[str, str] | None = None,
) -> tuple[list[Experiment], list[str]]:
    identification = Identification(
        find_task=find_task,
        given_task=None if task is None else find_task(task),
        settings=settings or {},
        conditions={},
        numbers=SeedNumbers({}),
    )
    return group_runs(runs, identification, held or {})


def test_a_recipe_gives_the_name() -> None:
    ((experiment,), notices) = group(native_run("a"), native_run("b", seed=1, split="seed:1"))
    assert experiment.name == "modular_addition-paper"
    assert experiment.is_native
    assert [(member.seed, member.split) for member in experiment.members] == [(0, "seed:0"), (1, "seed:1")]
    assert notices == []


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({}, "checkpoints"),
        ({"run": {"width": 12, "act": "ReLU"}}, "checkpoints-act=ReLU-width=12"),
        ({"run": {"path": "a/b c"}}, "checkpoints-path=a_b_c"),
        ({"task": {"name": "modular_addition"}}, "modular_addition"),
        ({"task": {"name": "modular_addition", "p": 113, "train_fraction": 0.7}}, "modular_addition"),
        ({"task": {"name": "modular_addition", "p": 23}, "model": {"hidden": 8}}, "modular_addition-hidden=8-p=23"),
    ],
)
def test_other_names_list_what_differs_from_the_default_recipe(parameters: dict[str, Any], name: str) -> None:
    task_class = ModularAddition if "task" in parameters else None
    assert experiment_name(None, task_class, parameters) == name


def test_a_name_does_not_change_when_runs_are_added() -> None:
    first = build_run("a", parameters={"run": {"p": 23}})
    others = [build_run("b", parameters={"run": {"p": 29}}), build_run("c", parameters={"run": {"p": 31, "lr": 0.1}})]
    ((alone,), _) = group(first, task="modular_addition")
    together, _ = group(*others, first, task="modular_addition")
    assert alone.name == "modular_addition-p=23"
    assert [experiment.name for experiment in together] == [
        "modular_addition-p=29", "modular_addition-lr=0.1-p=31", "modular_addition-p=23"
    ]  # fmt: skip
    assert alone.digest == together[2].digest


def test_fields_that_are_parameters_of_the_task_are_taken_as_such() -> None:
    run = build_run("a", parameters={"run": {"p": 23, "hidden": 8, "lr": 0.5, "other": "x"}})
    ((experiment,), _) = group(run, task="modular_addition")
    assert experiment.parameters["task"] == {"name": "modular_addition", "p": 23, "train_fraction": 0.7}
    assert experiment.parameters["model"] == {"hidden": 8}
    assert experiment.parameters["optimizer"] == {"lr": 0.5}
    assert experiment.parameters["run"] == {"other": "x"}
    assert experiment.task is not None
    assert experiment.task.period == 23


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": {"run": {"decay": "0"}}},
        {"shapes": {"a.weight": (5, 3)}},
        {"epoch_units": "steps"},
    ],
)
def test_runs_that_differ_in_more_than_coordinates_are_two_experiments(changes: dict[str, Any]) -> None:
    experiments, _ = group(build_run("a", seed=0, init_scale=1.0), build_run("b", seed=0, init_scale=1.0, **changes))
    first, second = experiments
    assert first.digest != second.digest
    assert first.name != second.name


def test_runs_that_differ_in_coordinates_are_one() -> None:
    runs = [
        build_run(f"{seed}-{scale}", seed=seed, init_scale=scale, split=f"seed:{seed}")
        for scale in (10.0, 0.1)
        for seed in (1, 0)
    ]
    ((experiment,), notices) = group(*runs)
    assert notices == []
    assert [(member.seed, member.init_scale) for member in experiment.members] == [
        (0, 0.1), (0, 10.0), (1, 0.1), (1, 10.0)
    ]  # fmt: skip


def test_a_held_name_gets_a_suffix_and_its_holder_keeps_it() -> None:
    run = build_run("a", seed=0, init_scale=1.0)
    ((experiment,), _) = group(run)
    ((again,), _) = group(run, held={"checkpoints": experiment.digest})
    assert again.name == "checkpoints"
    ((other,), _) = group(run, held={"checkpoints": "0" * 64})
    assert other.name == f"checkpoints-{experiment.digest[:6]}"
    ((renamed,), _) = group(run, held={"mine": experiment.digest, "checkpoints": "0" * 64})
    assert renamed.name == "mine"


def test_runs_without_a_seed_are_numbered_with_a_notice() -> None:
    runs = [build_run(path, init_scale=1.0) for path in ("a", "b", "c")]
    ((experiment,), notices) = group(*runs)
    assert [(str(member.run.path), member.seed) for member in experiment.members] == [("a", 0), ("b", 1), ("c", 2)]
    (notice,) = notices
    assert "no seed is known" in notice


def test_one_run_without_a_seed_is_seed_0_without_a_notice() -> None:
    ((experiment,), notices) = group(build_run("a", init_scale=1.0), build_run("b", init_scale=2.0))
    assert [member.seed for member in experiment.members] == [0, 0]
    assert notices == []


def test_an_unknown_init_scale_is_1_with_a_notice() -> None:
    ((experiment,), notices) = group(build_run("a", seed=0))
    assert experiment.members[0].init_scale == 1.0
    (notice,) = notices
    assert "init_scale is not known" in notice
    ((experiment,), notices) = group(build_run("a", seed=0), settings={"run": {"init_scale": 4, "seed": 2}})
    assert (experiment.members[0].seed, experiment.members[0].init_scale) == (2, 4.0)
    assert notices == []


@pytest.mark.parametrize("setting", [{"seed": "first"}, {"init_scale": "large"}, {"init_scale": [1]}, {"seed": 1.5}])
def test_a_coordinate_that_is_no_number_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        group(build_run("a"), settings={"run": setting})


def test_two_runs_on_one_coordinate_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"seed 3, init_scale 0\.5: first/a and second/b"):
        group(
            build_run("first/a", (0, 1), seed=3, init_scale=0.5, parameters={}),
            build_run("second/b", (1, 2), seed=3, init_scale=0.5, parameters={}),
        )


def test_two_runs_on_one_place_are_refused_whatever_their_epochs() -> None:
    with pytest.raises(UsageError, match="seed 0, init_scale 1: a and b"):
        group(build_run("a", (0, 1), seed=0, init_scale=1.0), build_run("b", (2, 3), seed=0, init_scale=1.0))


def test_a_contradiction_is_said_and_what_is_set_wins() -> None:
    run = build_run("a", seed=0, init_scale=1.0, parameters={"run": {"p": 23}})
    ((experiment,), notices) = group(run, task="modular_addition", settings={"task": {"p": 29}})
    assert experiment.parameters["task"]["p"] == 29
    (notice,) = notices
    assert "a says p=23" in notice


def test_split_and_map_are_no_parameters() -> None:
    run = build_run("a", seed=0, init_scale=1.0)
    plain, _ = group(run, task="modular_addition")
    directed, _ = group(run, task="modular_addition", settings={"task": {"split": "all", "map": {"x": "y"}}})
    assert plain[0].digest == directed[0].digest
    assert (plain[0].members[0].split, directed[0].members[0].split) == (None, "all")


def test_invalid_parameters_of_the_task_are_refused_with_their_path() -> None:
    with pytest.raises(UsageError, match=r"task\.p: .*found ['\"]x"):
        group(build_run("a"), task="modular_addition", settings={"task": {"p": "x"}})


def test_a_native_run_of_a_task_that_is_not_installed_stays_usable() -> None:
    parameters = {"task": {"name": "knitting", "size": 3}}
    ((experiment,), notices) = group(replace(native_run("a", recipe="knitting/paper"), parameters=parameters))
    assert (experiment.name, experiment.task) == ("knitting-paper", None)
    assert "unknown task 'knitting'" in notices[0]
    with pytest.raises(UsageError, match="unknown task"):
        group(build_run("a"), task="knitting")


def test_rename_needs_one_experiment() -> None:
    one, _ = group(build_run("a", seed=0, init_scale=1.0))
    assert rename(one, "my run/1", {})[0].name == "my_run_1"
    two, _ = group(build_run("a"), build_run("b", epoch_units="steps"))
    with pytest.raises(UsageError, match="expected one experiment, found 2"):
        rename(two, "mine", {})
    with pytest.raises(UsageError, match="another experiment in the store is called so"):
        rename(one, "mine", {"mine": "another digest"})
    assert rename(one, "mine", {"mine": one[0].digest})[0].name == "mine"


def test_default_parameters_are_complete() -> None:
    flat = flatten(default_parameters(ModularAddition))
    assert flat["task.name"] == "modular_addition"
    assert {"task.p", "task.train_fraction", "model.hidden", "optimizer.lr"} <= set(flat)
