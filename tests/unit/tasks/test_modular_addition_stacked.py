"""The stacked form is the network, member by member."""

import math
from dataclasses import dataclass

import pytest
import torch

from grokprobe_tasks.modular_addition import ModularAddition
from grokprobe_tasks.modular_addition import stacked as stacked_module
from grokprobe_tasks.modular_addition.network import TwoLayerNetwork
from grokprobe_tasks.modular_addition.stacked import StackedTwoLayerNetwork
from grokprobe_tasks.modular_addition.task import ModularAdditionModelOptions, ModularAdditionOptions

FORM = StackedTwoLayerNetwork()
GRADIENTS = {
    "by member": FORM.compute_gradients,
    "together": torch.no_grad()(stacked_module._compute_gradients_together),
}
OUTPUTS = {"by member": FORM.compute_outputs, "together": torch.no_grad()(stacked_module._compute_outputs_together)}
EVALUATIONS = {"by member": FORM.evaluate, "together": torch.no_grad()(stacked_module._evaluate_together)}
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    p: int
    hidden: int
    batch: int
    num_seeds: int = 1
    num_scales: int = 1
    #: The same pair many times in a batch.
    repeats: bool = False


CASES = [
    Case(p=2, hidden=1, batch=1),
    Case(p=5, hidden=8, batch=3, num_scales=4),
    Case(p=7, hidden=13, batch=49, num_seeds=3),
    Case(p=11, hidden=33, batch=6, num_seeds=2, num_scales=3, repeats=True),
    Case(p=113, hidden=512, batch=64, num_seeds=2, num_scales=2),
    Case(p=113, hidden=512, batch=42, num_scales=2),
    Case(p=5, hidden=9, batch=2 * stacked_module.NUM_CACHED_SAMPLES + 3, num_seeds=2, num_scales=2, repeats=True),
]


def build_networks(case: Case, dtype: torch.dtype) -> list[TwoLayerNetwork]:
    generator = torch.Generator().manual_seed(0)
    networks = [TwoLayerNetwork(case.p, case.hidden).to(dtype) for _ in range(case.num_seeds * case.num_scales)]
    for network in networks:
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return networks


def build_samples(case: Case, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Two-hot inputs (num_seeds, batch, 2p) and targets (num_seeds, batch), which need not be the sums."""
    generator = torch.Generator().manual_seed(1)
    size = (case.num_seeds, case.batch)
    pairs = torch.randint(2 if case.repeats else case.p, (*size, 2), generator=generator)
    inputs = torch.nn.functional.one_hot(pairs, case.p).flatten(2).to(dtype)
    return inputs, torch.randint(case.p, size, generator=generator)


def encode(inputs: torch.Tensor) -> torch.Tensor:
    return torch.stack([FORM.encode(of_seed) for of_seed in inputs])


def stack(members: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    packed = [FORM.pack(member) for member in members]
    return {name: torch.stack([member[name] for member in packed]) for name in packed[0]}


def select(stacked: dict[str, torch.Tensor], member: int) -> dict[str, torch.Tensor]:
    return FORM.unpack({name: tensor[member] for name, tensor in stacked.items()})


def build_blank_gradients(parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.full_like(tensor, torch.nan) for name, tensor in parameters.items()}


def assert_close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal up to rounding relative to the largest entry."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    tolerance = TOLERANCES[expected.dtype]
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("path", GRADIENTS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_and_losses_are_those_of_autograd(case: Case, path: str, dtype: torch.dtype) -> None:
    networks, (inputs, targets) = build_networks(case, dtype), build_samples(case, dtype)
    parameters = stack([network.state_dict() for network in networks])
    gradients = build_blank_gradients(parameters)
    before = {name: tensor.clone() for name, tensor in parameters.items()}
    losses = GRADIENTS[path](parameters, encode(inputs), targets, gradients)
    assert losses.shape == (len(networks),)
    for member, network in enumerate(networks):
        seed = member // case.num_scales
        expected = torch.nn.functional.cross_entropy(network(inputs[seed]), targets[seed])
        expected.backward()
        assert_close(losses[member], expected.detach())
        actual = select(gradients, member)
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None
            assert_close(actual[name], parameter.grad)
    assert all(torch.equal(parameters[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("path", OUTPUTS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs_are_those_of_the_network(case: Case, path: str, dtype: torch.dtype) -> None:
    networks, (inputs, _) = build_networks(case, dtype), build_samples(case, dtype)
    outputs = OUTPUTS[path](stack([network.state_dict() for network in networks]), encode(inputs))
    assert len(outputs) == len(networks)
    for member, network in enumerate(networks):
        assert_close(outputs[member], network(inputs[member // case.num_scales]).detach())


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("path", EVALUATIONS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_evaluation_is_that_of_float64(case: Case, path: str, scale: float) -> None:
    networks, (inputs, targets) = build_networks(case, torch.float32), build_samples(case, torch.float32)
    parameters = {name: scale * tensor for name, tensor in stack([x.state_dict() for x in networks]).items()}
    outputs = OUTPUTS["by member" if path == "by member" else "together"](parameters, encode(inputs))
    losses, num_correct = EVALUATIONS[path](parameters, encode(inputs), targets)
    assert losses.dtype == torch.float64
    for member, logits in enumerate(outputs):
        wanted = targets[member // case.num_scales]
        expected = torch.nn.functional.cross_entropy(logits.double(), wanted, reduction="sum")
        torch.testing.assert_close(losses[member], expected, rtol=5e-6, atol=1e-15)
        assert int(num_correct[member]) == int((logits.argmax(dim=1) == wanted).sum())


@pytest.mark.parametrize("path", EVALUATIONS)
def test_small_losses_and_equal_logits_are_evaluated_exactly(path: str) -> None:
    bias = torch.tensor([[0.0, 20.0, 0.0], [5.0, 5.0, 1.0], [0.0, 0.0, 300.0], [0.0, -1e-9, 0.0]])
    parameters = {
        "input.weight": torch.zeros(4, 6, 2),
        "input.bias": torch.zeros(4, 2),
        "output.weight": torch.zeros(4, 2, 3),
        "output.bias": bias,
    }
    inputs = torch.tensor([[0, 3]] * 6).unsqueeze(0)
    targets = torch.tensor([[1, 1, 1, 0, 0, 2]])
    losses, num_correct = EVALUATIONS[path](parameters, inputs, targets)
    assert num_correct.tolist() == [3, 2, 1, 2]  # the first of equal logits counts
    small = 2 * math.exp(-20)
    expected = [
        3 * math.log1p(small) + 3 * (20 + math.log1p(small)),
        5 * math.log(2 + math.exp(-4)) + 4 + math.log(2 + math.exp(-4)),
        5 * 300,
        6 * math.log(3),
    ]
    assert losses.tolist() == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("path", GRADIENTS)
def test_large_logits_keep_the_loss_finite(path: str) -> None:
    case = Case(p=5, hidden=8, batch=16, num_scales=2)
    networks, (inputs, targets) = build_networks(case, torch.float32), build_samples(case, torch.float32)
    parameters = {name: 1e3 * tensor for name, tensor in stack([x.state_dict() for x in networks]).items()}
    gradients = build_blank_gradients(parameters)
    losses = GRADIENTS[path](parameters, encode(inputs), targets, gradients)
    assert losses.isfinite().all()
    assert (losses > 1e3).all()
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_member_knows_nothing_of_the_others(case: Case, dtype: torch.dtype) -> None:
    networks, (inputs, targets) = build_networks(case, dtype), build_samples(case, dtype)
    parameters, encoded = stack([network.state_dict() for network in networks]), encode(inputs)
    gradients = build_blank_gradients(parameters)
    losses = FORM.compute_gradients(parameters, encoded, targets, gradients)
    outputs = FORM.compute_outputs(parameters, encoded)
    for member in range(len(networks)):
        seed = slice(member // case.num_scales, member // case.num_scales + 1)
        alone = {name: tensor[member : member + 1].clone() for name, tensor in parameters.items()}
        own = build_blank_gradients(alone)
        assert FORM.compute_gradients(alone, encoded[seed], targets[seed], own).equal(losses[member : member + 1])
        assert all(own[name][0].equal(gradient[member]) for name, gradient in gradients.items())
        assert FORM.compute_outputs(alone, encoded[seed])[0].equal(outputs[member])


@pytest.mark.parametrize("path", GRADIENTS)
def test_what_the_others_hold_changes_no_bit(path: str) -> None:
    case = Case(p=7, hidden=13, batch=10, num_seeds=2, num_scales=2)
    networks, (inputs, targets) = build_networks(case, torch.float32), build_samples(case, torch.float32)
    parameters, encoded = stack([network.state_dict() for network in networks]), encode(inputs)
    disturbed = {name: tensor.clone() for name, tensor in parameters.items()}
    for tensor in disturbed.values():
        tensor[[0, 1, 3]] = torch.nan
    results = []
    for members in (parameters, disturbed):
        gradients = build_blank_gradients(members)
        losses = GRADIENTS[path](members, encoded, targets, gradients)
        results.append([losses[2], OUTPUTS[path](members, encoded)[2], *(tensor[2] for tensor in gradients.values())])
    assert all(left.equal(right) for left, right in zip(*results, strict=True))


def test_packing_transposes_the_weights_and_unpacking_undoes_it() -> None:
    network = TwoLayerNetwork(5, 8)
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    packed = FORM.pack(parameters)
    assert packed["input.weight"].equal(parameters["input.weight"].T)
    assert packed["output.weight"].equal(parameters["output.weight"].T)
    unpacked = FORM.unpack(packed)
    assert list(unpacked) == list(parameters)
    assert all(unpacked[name].equal(parameter) for name, parameter in parameters.items())
    assert all(tensor.is_contiguous() for tensor in (*packed.values(), *unpacked.values()))


def test_packed_tensors_share_no_memory_with_the_network() -> None:
    parameters = TwoLayerNetwork(5, 8).state_dict()
    before = {name: tensor.clone() for name, tensor in parameters.items()}
    for tensor in FORM.pack(parameters).values():
        tensor.zero_()
    assert all(parameters[name].equal(tensor) for name, tensor in before.items())


def test_an_elementwise_step_does_not_notice_the_layout() -> None:
    parameters, moments = TwoLayerNetwork(5, 8).state_dict(), TwoLayerNetwork(5, 8).state_dict()
    stepped = {name: tensor - 0.1 * moments[name] for name, tensor in parameters.items()}
    packed, packed_moments = FORM.pack(parameters), FORM.pack(moments)
    unpacked = FORM.unpack({name: tensor - 0.1 * packed_moments[name] for name, tensor in packed.items()})
    assert all(unpacked[name].equal(tensor) for name, tensor in stepped.items())


def test_samples_are_encoded_as_the_indices_of_their_ones() -> None:
    inputs = torch.zeros(3, 10)
    expected = torch.tensor([[0, 5], [4, 7], [2, 9]])
    inputs.scatter_(1, expected, 1.0)
    encoded = FORM.encode(inputs)
    assert encoded.dtype == torch.int64
    assert encoded.equal(expected)


def test_the_task_offers_it() -> None:
    task = ModularAddition(ModularAdditionOptions(p=5), ModularAdditionModelOptions(hidden=8))
    assert isinstance(task.stacked_form(), StackedTwoLayerNetwork)
