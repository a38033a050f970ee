"""Many Ising networks at once are the networks one by one."""

from collections.abc import Mapping

import pytest
import torch
from torch import nn
from torch.nn import functional

from grokprobe_tasks.ising.options import IsingModelOptions, IsingOptions
from grokprobe_tasks.ising.stacked import StackedConvNetwork
from grokprobe_tasks.ising.task import Ising

CASES = [
    pytest.param(16, (2, 4), 100, 1, 3, 24, id="paper"),
    pytest.param(8, (1, 3), 7, 2, 2, 19, id="one-channel"),
    pytest.param(4, (3, 1), 5, 3, 1, 6, id="smallest"),
    pytest.param(12, (3, 2), 9, 2, 3, 11, id="odd"),
    pytest.param(4, (1, 1), 1, 1, 1, 1, id="ones"),
]


def build(size: int, channels: tuple[int, int], hidden: int) -> Ising:
    return Ising(IsingOptions(size=size), IsingModelOptions(channels=channels, hidden=hidden))


def draw_networks(task: Ising, number: int, dtype: torch.dtype) -> list[nn.Module]:
    generator = torch.Generator().manual_seed(3)
    networks = []
    for _ in range(number):
        network = task.build_model().to(dtype)
        task.initialise(network, generator)
        networks.append(network)
    return networks


def draw_spins(num_seeds: int, number: int, size: int, dtype: torch.dtype) -> torch.Tensor:
    """Returns uniform snapshots of either sign, stripes along both axes, and random ones."""
    spins = torch.randint(0, 2, (num_seeds, number, 1, size, size), generator=torch.Generator().manual_seed(5)) * 2 - 1
    spins[:, 0::5] = 1
    spins[:, 1::5] = -1
    spins[:, 2::5] = 1
    spins[:, 2::5, :, : size // 2] = -1
    spins[:, 3::5] = torch.arange(size) // 2 % 2 * 2 - 1
    return spins.to(dtype)


def draw_targets(num_seeds: int, number: int) -> torch.Tensor:
    return torch.randint(0, 2, (num_seeds, number), generator=torch.Generator().manual_seed(7))


def stack(form: StackedConvNetwork, networks: list[nn.Module]) -> dict[str, torch.Tensor]:
    packed = [form.pack({name: value.detach() for name, value in net.named_parameters()}) for net in networks]
    return {name: torch.stack([member[name] for member in packed]) for name in packed[0]}


def encode(form: StackedConvNetwork, spins: torch.Tensor) -> torch.Tensor:
    return torch.stack([form.encode(snapshots) for snapshots in spins])


def compute(
    form: StackedConvNetwork, parameters: Mapping[str, torch.Tensor], spins: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
    inputs = encode(form, spins)
    gradients = {name: torch.full_like(value, torch.nan) for name, value in parameters.items()}
    losses = form.compute_gradients(parameters, inputs, targets, gradients)
    return losses, gradients, form.compute_outputs(parameters, inputs)


def check_against_autograd(
    task: Ising, networks: list[nn.Module], spins: torch.Tensor, targets: torch.Tensor, tolerance: float
) -> None:
    form = task.stacked_form()
    losses, gradients, outputs = compute(form, stack(form, networks), spins, targets)
    for member, network in enumerate(networks):
        seed = member * len(spins) // len(networks)
        expected = network(spins[seed])
        loss = functional.cross_entropy(expected, targets[seed])
        assert_near(outputs[member], expected.detach(), tolerance)
        assert_near(losses[member], loss.detach(), tolerance)
        names, values = zip(*network.named_parameters(), strict=True)
        ours = form.unpack({name: value[member] for name, value in gradients.items()})
        theirs = dict(zip(names, torch.autograd.grad(loss, values), strict=True))
        for name, gradient in theirs.items():
            assert ours[name].shape == gradient.shape
        assert_near(flatten(ours, names), flatten(theirs, names), tolerance)


def flatten(values: Mapping[str, torch.Tensor], names: tuple[str, ...]) -> torch.Tensor:
    return torch.cat([values[name].flatten() for name in names])


def assert_near(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    largest = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize(("size", "channels", "hidden", "num_seeds", "num_scales", "number"), CASES)
def test_losses_gradients_and_outputs_are_those_of_autograd(
    size: int,
    channels: tuple[int, int],
    hidden: int,
    num_seeds: int,
    num_scales: int,
    number: int,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    task = build(size, channels, hidden)
    networks = draw_networks(task, num_seeds * num_scales, dtype)
    spins, targets = draw_spins(num_seeds, number, size, dtype), draw_targets(num_seeds, number)
    check_against_autograd(task, networks, spins, targets, tolerance)


def test_the_first_of_equal_partners_gets_the_gradient() -> None:
    """Weights that are whole numbers make partners equal that see different spins."""
    task = build(8, (2, 3), 6)
    networks = draw_networks(task, 4, torch.float64)
    generator = torch.Generator().manual_seed(11)
    for network in networks:
        for name, value in network.named_parameters():
            if name.startswith("conv"):
                value.data = torch.randint(-1, 2, value.shape, generator=generator).double()
    check_against_autograd(task, networks, draw_spins(2, 40, 8, torch.float64), draw_targets(2, 40), 1e-12)


def test_outputs_of_more_samples_than_are_computed_at_a_time() -> None:
    task = build(4, (2, 2), 3)
    form, networks = task.stacked_form(), draw_networks(task, 2, torch.float64)
    spins = draw_spins(1, 600, 4, torch.float64)
    outputs = form.compute_outputs(stack(form, networks), encode(form, spins))
    for found, network in zip(outputs, networks, strict=True):
        assert_near(found, network(spins[0]).detach(), 1e-12)


def test_unpack_inverts_pack() -> None:
    form = StackedConvNetwork(12, (2, 4))
    values = {"hidden.weight": torch.arange(5.0 * 36).view(5, 36), "hidden.bias": torch.arange(5.0)}
    packed = form.pack(values)
    assert packed["hidden.weight"][0, :6].tolist() == [0, 1, 2, 9, 10, 11]
    for name, value in form.unpack(packed).items():
        assert packed[name].is_contiguous()
        assert value.is_contiguous()
        assert torch.equal(value, values[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_member_does_not_depend_on_the_others(dtype: torch.dtype) -> None:
    task = build(16, (2, 4), 20)
    form = task.stacked_form()
    parameters = stack(form, draw_networks(task, 6, dtype))
    spins, targets = draw_spins(2, 30, 16, dtype), draw_targets(2, 30)
    losses, gradients, outputs = compute(form, parameters, spins, targets)
    for member, factor in ((0, 3), (4, torch.nan)):
        others = torch.arange(6) != member
        changed = {name: value.clone() for name, value in parameters.items()}
        for value in changed.values():
            value[others] *= factor
        new_losses, new_gradients, new_outputs = compute(form, changed, spins, targets)
        assert not torch.equal(new_losses[others], losses[others])
        assert torch.equal(new_losses[member], losses[member])
        assert torch.equal(new_outputs[member], outputs[member])
        for name, gradient in gradients.items():
            assert torch.equal(new_gradients[name][member], gradient[member])


def test_confident_networks_have_finite_losses() -> None:
    task = build(4, (1, 1), 2)
    form = task.stacked_form()
    parameters = {name: value * 0 for name, value in stack(form, draw_networks(task, 1, torch.float64)).items()}
    parameters["output.bias"][:] = torch.tensor([0.0, 1000.0])
    losses, gradients, _ = compute(
        form, parameters, draw_spins(1, 2, 4, torch.float64), torch.zeros(1, 2, dtype=torch.int64)
    )
    assert losses.tolist() == [1000.0]
    assert gradients["output.bias"].tolist() == [[-1.0, 1.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_evaluation_is_that_of_float64(dtype: torch.dtype) -> None:
    task = build(8, (2, 2), 5)
    form, networks = task.stacked_form(), draw_networks(task, 6, dtype)
    spins, targets = draw_spins(2, 300, 8, dtype), draw_targets(2, 300)
    stacked = {name: 3 * value for name, value in stack(form, networks).items()}
    outputs = form.compute_outputs(stacked, encode(form, spins))
    outputs_of_zero = {name: torch.zeros_like(value) for name, value in stacked.items()}
    losses, num_correct = form.evaluate(stacked, encode(form, spins), targets)
    for member, logits in enumerate(outputs):
        expected = functional.cross_entropy(logits.double(), targets[member // 3], reduction="sum")
        torch.testing.assert_close(losses[member], expected, rtol=1e-12, atol=0)
        assert int(num_correct[member]) == task.num_correct(logits, targets[member // 3])
    _, num_correct = form.evaluate(outputs_of_zero, encode(form, spins), targets)
    assert num_correct.tolist() == [int((ours == 0).sum()) for ours in targets for _ in range(3)]
