from typing import Any

import pytest
import torch

from grokprobe.context import CheckpointContext, Network, Surroundings
from grokprobe.errors import UsageError
from grokprobe.interfaces import Requirement, RunCoordinates, Samples, Subject
from grokprobe.probes.hessian import HessianOptions
from unit.testing.miniature import NoOptions, SizeOptions

STORED = {epoch: {"w": torch.full((2, 2), float(epoch))} for epoch in (0, 5, 20)}
SAMPLES = Samples(inputs=torch.eye(2), targets=torch.arange(2))


def build(epoch: int, *, measure: tuple[str, str] = ("probes/x", "1"), options: Any = None, **given: Any) -> Any:
    loaded = given.pop("loaded", [])

    def load(wanted: int) -> dict[str, torch.Tensor]:
        loaded.append(wanted)
        return STORED[wanted]

    surroundings = Surroundings(
        subject=Subject(task=None, shapes={"w": (2, 2)}, constant=frozenset(), available=frozenset(Requirement)),
        run=given.pop("run", RunCoordinates(seed=0, init_scale=1.0)),
        epochs=tuple(STORED),
        load=load,
        network=given.pop("network", None),
        samples=given.pop("samples", None),
        device=torch.device("cpu"),
    )
    return CheckpointContext(surroundings, epoch, measure, options)


@pytest.mark.parametrize(("epoch", "previous", "following"), [(0, None, 5), (5, 0, 20), (20, 5, None)])
def test_neighbours_are_the_stored_ones(epoch: int, previous: int | None, following: int | None) -> None:
    context = build(epoch)
    found = [None if near is None else int(near["w"][0, 0]) for near in (context.previous, context.next)]
    assert found == [previous, following]
    assert int(context.initial["w"][0, 0]) == 0
    assert int(context.final["w"][0, 0]) == 20
    assert int(context.parameters["w"][0, 0]) == epoch == context.epoch


def test_neighbours_further_away_and_their_epochs() -> None:
    context = build(0)
    assert [context.neighbour_epoch(offset) for offset in (-1, 0, 1, 2, 3)] == [None, 0, 5, 20, None]
    assert int(context.neighbour(2)["w"][0, 0]) == 20


def test_at_other_parameters_all_else_stays() -> None:
    context = build(5, options=SizeOptions())
    other = context.at({"w": torch.ones(2, 2)})
    assert other.parameters["w"].equal(torch.ones(2, 2))
    assert int(context.parameters["w"][0, 0]) == 5
    assert (other.epoch, other.options, int(other.next["w"][0, 0])) == (5, context.options, 20)
    with pytest.raises(TypeError):
        other.parameters["w"] = torch.zeros(2, 2)


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    loaded: list[int] = []
    context = build(5, loaded=loaded)
    assert (context.run.seed, context.subject.shapes, loaded) == (0, {"w": (2, 2)}, [])
    assert context.next is not None
    assert loaded == [20]


def test_parameters_cannot_be_replaced() -> None:
    with pytest.raises(TypeError):
        build(0).parameters["w"] = torch.zeros(2, 2)


def draw(**given: Any) -> list[float]:
    return torch.rand(3, generator=build(given.pop("epoch", 5), **given).generator).tolist()


def test_generators_are_fresh_and_equal_for_equal_work() -> None:
    context = build(5)
    first, second = (torch.rand(3, generator=context.generator).tolist() for _ in range(2))
    assert first == second == draw()


@pytest.mark.parametrize(
    "changed",
    [
        {"epoch": 20},
        {"measure": ("probes/y", "1")},
        {"measure": ("probes/x", "2")},
        {"options": SizeOptions(p=5)},
        {"run": RunCoordinates(seed=1, init_scale=1.0)},
        {"run": RunCoordinates(seed=0, init_scale=2.0)},
    ],
)
def test_generators_differ_for_different_work(changed: dict[str, Any]) -> None:
    assert draw(**{"options": SizeOptions()} | changed) != draw(options=SizeOptions())


def test_an_option_that_only_bounds_the_memory_changes_no_generator() -> None:
    assert draw(options=HessianOptions(batch_size=7)) == draw(options=HessianOptions())
    assert draw(options=HessianOptions(num_probes=7)) != draw(options=HessianOptions())


def test_what_was_not_declared_is_refused() -> None:
    context = build(0, options=NoOptions())
    for access in ("train", "test"):
        with pytest.raises(UsageError, match=f"expected a {access}.*requires"):
            getattr(context, access)
    with pytest.raises(UsageError, match="expected a model"):
        context.apply(context.parameters, SAMPLES.inputs)


def test_the_network_takes_parameters_by_the_checkpoint_names() -> None:
    network = Network(module=torch.nn.Linear(2, 2, bias=False), mapping={"weight": "w"})
    context = build(5, network=lambda: network, samples=lambda: (SAMPLES, SAMPLES))
    assert context.apply(context.parameters, context.train.inputs).tolist() == [[5.0, 5.0], [5.0, 5.0]]
    assert context.apply(context.next, context.train.inputs).tolist() == [[20.0, 20.0], [20.0, 20.0]]


class Reused(torch.nn.Module):
    """A convolution, then one linear layer used twice around a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = torch.nn.Conv1d(1, 2, 1)
        self.square = torch.nn.Linear(4, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.kernel(inputs)).flatten(1)
        return self.square(torch.relu(self.square(hidden)))


def test_pre_activations_are_what_the_affine_layers_give() -> None:
    module = Reused()
    foreign = {f"net.{name}": tensor.detach().clone() for name, tensor in module.state_dict().items()}
    network = Network(module=module, mapping={name.removeprefix("net."): name for name in foreign})
    context = build(5, network=lambda: network)
    inputs = torch.randn(3, 1, 2)
    found = context.pre_activations(foreign, inputs)
    assert list(found) == ["net.kernel", "net.square", "net.square#2"]
    assert found["net.kernel"].equal(module.kernel(inputs))
    assert found["net.square"].equal(module.square(torch.relu(module.kernel(inputs)).flatten(1)))
    assert found["net.square#2"].equal(context.apply(foreign, inputs))
    assert not any(layer._forward_hooks for layer in module.modules())


def test_pre_activations_of_a_network_that_is_one_layer() -> None:
    network = Network(module=torch.nn.Linear(2, 2, bias=False), mapping={"weight": "w"})
    found = build(5, network=lambda: network).pre_activations(STORED[5], SAMPLES.inputs)
    assert {name: values.tolist() for name, values in found.items()} == {"w": [[5.0, 5.0], [5.0, 5.0]]}


def test_a_layer_whose_weight_is_computed_has_the_name_of_its_module() -> None:
    module = torch.nn.Sequential(torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2)), torch.nn.ReLU())
    parameters = {name: tensor.detach() for name, tensor in module.state_dict().items()}
    network = Network(module=module, mapping={name: name for name in parameters})
    found = build(5, network=lambda: network).pre_activations(parameters, SAMPLES.inputs)
    assert {name: values.equal(module[0](SAMPLES.inputs)) for name, values in found.items()} == {"0": True}
