"""Recipes are complete, checked, and name every fault."""

import pickle

import pytest

from grokprobe.errors import RecipeError, UsageError
from grokprobe.training.recipe import load_recipe
from grokprobe.training.tables import parse_init_scales, parse_seeds
from grokprobe_tasks.modular_addition import ModularAddition
from unit.training.small_sweep import find_task, load_small

HEAD = '[task]\nname = "modular_addition"\n'

#: (added to a minimal recipe, overrides, part of the message).
FAULTS = (
    ("p = 1", {}, "task.p: expected greater than or equal to 2, found 1"),
    ("q = 3", {}, "task.q: unknown key, found the value 3; known: p, train_fraction"),
    ("train_fracton = 0.5", {}, "task.train_fracton: unknown key, found the value 0.5; did you mean 'train_fraction'?"),
    ("p = 2\ntrain_fraction = 0.1", {}, "task: expected at least one training pair, found none of 4"),
    ("[modell]", {}, "modell: unknown table; did you mean 'model'?"),
    ("[model]\nhidden = 8.5", {}, "model.hidden: expected a valid integer"),
    ("[model]\nhidden = true", {}, "model.hidden: expected a valid integer, found true"),
    ("[optimizer]\nname = 'adm'", {}, "optimizer.name: expected one of adam, adamw, sgd, found 'adm'; did you mean"),
    ("[optimizer]\nlr = '5e-3'", {}, 'optimizer.lr: expected a valid number, found "5e-3"'),
    ("[optimizer]\nlr = inf", {}, "optimizer.lr: expected a finite number"),
    ("[optimizer]\nlr = nan", {}, "optimizer.lr: expected a finite number"),
    ("[optimizer]\nweight_decay = -1", {}, "optimizer.weight_decay: expected greater than or equal to 0, found -1"),
    ("[optimizer]\nbatch_size = 0", {}, "optimizer.batch_size: expected a number of samples of at least 1, or 'full'"),
    ("[optimizer]\nbatch_size = 'half'", {}, "optimizer.batch_size: expected a number of samples"),
    ("[optimizer]\nreshuffle = 1", {}, "optimizer.reshuffle: expected a valid boolean, found 1"),
    ("[sweep]\nseeds = '4-1'", {}, "sweep.seeds: expected seeds such as 0-4,7, found '4-1'"),
    ("[sweep]\nseeds = [0, -1]", {}, "sweep.seeds.1: expected greater than or equal to 0, found -1"),
    ("[sweep]\nseeds = '0-3,2'", {}, "sweep.seeds: expected every seed once, found 2 more than once"),
    ("[sweep]\nseeds = []", {}, "sweep.seeds: expected at least one seed, found none"),
    ("[sweep]\ninit_scales = [0.0]", {}, "sweep.init_scales.0: expected greater than 0, found 0.0"),
    ("[sweep]\ninit_scales = [1, 1.0]", {}, "sweep.init_scales: expected every init_scale once, found 1"),
    ("[sweep]\ninit_scales = 3.0", {}, "sweep.init_scales: expected a valid"),
    ("[schedule]\nepochs = -1", {}, "schedule.epochs: expected greater than or equal to 0"),
    ("[schedule]\ncheckpoints = ['evry 3']", {}, "schedule.checkpoints: schedule entry 'evry 3'"),
    ("[schedule]\nepochs = 10\nhistory = '17'", {}, "schedule.history: schedule entry '17'"),
    ("", {"optimizer.lrr": 1}, "optimizer.lrr: unknown key, found the value 1; did you mean 'lr'?"),
    ("", {"optimiser.lr": 1}, "optimiser.lr: unknown table 'optimiser' in an override; did you mean 'optimizer'?"),
    ("", {"optimizer": 1}, "optimizer: expected an override of one value"),
    ("", {"task.p.x": 1}, "task.p: expected a valid integer"),
    ("p = 7", {"task.p.x": 1}, "task.p.x: expected a table at 'p', found 7"),
    ("", {"task.name": "ising"}, "task.name: unknown task 'ising'"),
)


@pytest.mark.parametrize("name", ModularAddition.recipes)
def test_built_in_recipes_are_valid(name: str) -> None:
    recipe = load_recipe(ModularAddition.recipes[name], name, find_task)
    assert recipe.parameters()["optimizer"] == {
        "name": "adam",
        "lr": 5e-3,
        "weight_decay": 3e-5,
        "batch_size": 64,
        "reshuffle": False,
    }


def test_paper_recipe_is_the_published_sweep() -> None:
    recipe = load_recipe(ModularAddition.recipes["paper"], "paper", find_task)
    assert recipe.members()[:6] == ((0, 0.1), (0, 0.4), (0, 1.0), (0, 3.0), (0, 10.0), (1, 0.1))
    assert len(recipe.members()) == 25
    assert recipe.schedule.epochs == 1000
    assert recipe.schedule.checkpoint_epochs() == (*range(101), *range(110, 1001, 10))
    assert recipe.schedule.history_epochs() == tuple(range(1001))


def test_what_is_not_given_is_the_default_recipes() -> None:
    minimal = load_recipe(HEAD, "minimal", find_task)
    assert minimal == load_recipe(ModularAddition.recipes["paper"], "paper", find_task)
    assert minimal.parameters()["task"] == {"name": "modular_addition", "p": 113, "train_fraction": 0.7}
    assert minimal.parameters()["model"] == {"hidden": 512}


@pytest.mark.parametrize(("addition", "overrides", "message"), FAULTS)
def test_faults(addition: str, overrides: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(HEAD + addition, "my.toml", find_task, overrides)
    first, *faults = str(caught.value).split("\n")
    assert first == "my.toml: 1 fault"
    assert faults[0].strip().startswith(message)
    assert len(faults) == 1


def test_every_fault_is_listed() -> None:
    text = HEAD + 'p = 0\n[optimizer]\nname = "adagrad"\n[sweep]\nseeds = "x"\n[schedule]\nepochs = 1.5\n'
    with pytest.raises(RecipeError) as caught:
        load_recipe(text, "four.toml", find_task)
    first, *faults = str(caught.value).split("\n")
    assert first == "four.toml: 4 faults"
    assert {fault.strip().partition(":")[0] for fault in faults} == {
        "task.p",
        "optimizer.name",
        "sweep.seeds",
        "schedule.epochs",
    }


def test_an_unknown_task_hides_no_other_fault() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe('[task]\nname = "nothing"\n[optimizer]\nlr = "a"\n', "two.toml", find_task)
    assert [fault.strip().partition(":")[0] for fault in str(caught.value).split("\n")[1:]] == [
        "task.name",
        "optimizer.lr",
    ]


@pytest.mark.parametrize("text", ["", "[task]\nname = 3\n", "task = 3\n"])
def test_a_recipe_needs_the_name_of_a_task(text: str) -> None:
    with pytest.raises(RecipeError, match=r"task\.name: expected the name of a task"):
        load_recipe(text, "none.toml", find_task)


def test_a_syntax_error_says_its_line() -> None:
    with pytest.raises(RecipeError, match=r"broken\.toml.*line 2"):
        load_recipe("[task]\nname = \n", "broken.toml", find_task)


def test_overrides_replace_values() -> None:
    overrides = {"optimizer.lr": 1, "sweep.seeds": "3-4", "sweep.init_scales": "0.5,2", "schedule.epochs": 7}
    recipe = load_small(overrides)
    assert recipe.optimizer.lr == 1.0
    assert recipe.members() == ((3, 0.5), (3, 2.0), (4, 0.5), (4, 2.0))
    assert recipe.schedule.epochs == 7
    assert recipe.optimizer.batch_size == 7


def test_a_recipe_travels_to_another_process() -> None:
    recipe = load_small()
    assert pickle.loads(pickle.dumps(recipe)) == recipe  # noqa: S301 - made here


def test_changing_the_parameters_does_not_change_the_recipe() -> None:
    recipe = load_small()
    recipe.parameters()["task"]["p"] = 7
    assert recipe.parameters()["task"]["p"] == 5


@pytest.mark.parametrize(("text", "expected"), [("3", (3,)), ("0-4,7", (0, 1, 2, 3, 4, 7)), (" 2 - 3 , 1", (2, 3, 1))])
def test_seeds(text: str, expected: tuple[int, ...]) -> None:
    assert parse_seeds(text) == expected


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1,,2", "1-2-3", "0,0", "1.5"])
def test_no_seeds(text: str) -> None:
    with pytest.raises(UsageError):
        parse_seeds(text)


@pytest.mark.parametrize("text", ["", "a", "0", "-1", "inf", "nan", "1,1.0"])
def test_no_init_scales(text: str) -> None:
    with pytest.raises(UsageError):
        parse_init_scales(text)
