"""A learner starts where its seed says and depends on nothing else."""

import pytest
import torch

from grokprobe.interfaces import RunCoordinates
from grokprobe.numerics.streams import DATA_STREAM, ORDER_STREAM, build_generator
from grokprobe.progress import SilentProgress
from grokprobe.training.arithmetic import exact_products, flushed_denormals, single_thread
from grokprobe.training.learner import Learner, build_scaled_model
from unit.training.small_sweep import find_task, load_small


def build(overrides: dict[str, object] | None = None, seed: int = 0, init_scale: float = 1.0) -> Learner:
    recipe = load_small(overrides)
    task, run = recipe.build_task(find_task), RunCoordinates(seed=seed, init_scale=init_scale)
    return Learner(task, task.population(SilentProgress()), recipe.optimizer, run, torch.device("cpu"))


def test_scales_of_a_seed_are_paired() -> None:
    one, ten = build(init_scale=1.0).parameters(), build(init_scale=10.0).parameters()
    for name, parameter in one.items():
        assert torch.equal(ten[name], 10 * parameter)
    assert one["input.weight"].any()


def test_biases_are_scaled_too() -> None:
    task = load_small().build_task(find_task)

    def draw_ones(model: torch.nn.Module, generator: torch.Generator) -> None:
        for parameter in model.parameters():
            torch.nn.init.ones_(parameter)

    task.initialise = draw_ones  # pyright: ignore[reportAttributeAccessIssue]
    model = build_scaled_model(task, RunCoordinates(seed=0, init_scale=3.0))
    assert all(bool((parameter == 3.0).all()) for parameter in model.parameters())


def test_seeds_differ() -> None:
    assert not torch.equal(build(seed=0).parameters()["input.weight"], build(seed=1).parameters()["input.weight"])


def test_fixed_batches_are_the_training_split_in_order() -> None:
    learner, task = build(), load_small().build_task(find_task)
    train = task.population(SilentProgress()).at(task.split(0, build_generator(0, DATA_STREAM)).train)
    for epoch in (1, 2):
        batches = list(learner._batches(epoch))
        assert [len(targets) for _, targets in batches] == [7, 7, 3]
        assert torch.cat([inputs for inputs, _ in batches]).equal(train.inputs)
        assert torch.cat([targets for _, targets in batches]).equal(train.targets)


def test_reshuffled_batches_are_the_epochs_permutation() -> None:
    learner, fixed = build({"optimizer.reshuffle": True}), build()
    train = torch.cat([inputs for inputs, _ in fixed._batches(1)])
    for epoch in (2, 1):
        order = torch.randperm(17, generator=build_generator(0, ORDER_STREAM, epoch))
        assert torch.cat([inputs for inputs, _ in learner._batches(epoch)]).equal(train[order])


def test_a_full_batch_is_one_step() -> None:
    assert [len(targets) for _, targets in build({"optimizer.batch_size": "full"})._batches(1)] == [17]


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_loaded_state_continues_exactly(name: str) -> None:
    straight, first, second = (build({"optimizer.name": name, "optimizer.reshuffle": True}) for _ in range(3))
    for epoch in (1, 2, 3):
        straight.train_epoch(epoch)
    first.train_epoch(1)
    second.load_state(first.state())
    second.train_epoch(2)
    second.train_epoch(3)
    expected, found = straight.state(), second.state()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_history_rows_are_full_split_evaluations() -> None:
    learner, task = build({"task.p": 11, "task.train_fraction": 0.5}), load_small({"task.p": 11}).build_task(find_task)
    learner.train_epoch(1)
    row = learner.evaluate(1)
    split = load_small({"task.p": 11, "task.train_fraction": 0.5}).build_task(find_task)
    split = split.split(0, build_generator(0, DATA_STREAM))
    model = task.build_model()
    model.load_state_dict(learner.parameters())
    for name, indices in (("train", split.train), ("test", split.test)):
        samples = task.population(SilentProgress()).at(indices)
        log_probabilities = model.double()(samples.inputs.double()).log_softmax(dim=1).detach()
        picked = log_probabilities[torch.arange(len(samples)), samples.targets]
        assert row[f"{name}_loss"] == pytest.approx(-float(picked.mean()), rel=1e-5)
        correct = (log_probabilities.argmax(dim=1) == samples.targets).double().mean()
        assert row[f"{name}_accuracy"] == pytest.approx(float(correct), abs=1e-12)


def test_flushing_ends_with_its_block() -> None:
    small = torch.full((1,), 1e-40)
    with flushed_denormals():
        assert not small.mul(1.0).any()
        with flushed_denormals():
            pass
        assert not small.mul(1.0).any()
    assert small.mul(1.0).any()


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with single_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_products_on_a_gpu_are_of_float32_and_the_setting_is_put_back() -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    with exact_products():
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    assert before == (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)


def test_products_are_rounded_for_whoever_asks_torch_for_it() -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        with exact_products():
            assert torch.backends.cuda.matmul.allow_tf32
            assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
