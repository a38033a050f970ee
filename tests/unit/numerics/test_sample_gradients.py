import pytest
import torch

from grokprobe.numerics import sample_gradients as module
from grokprobe.numerics.output_fisher import IdentityFisher
from grokprobe.numerics.sample_gradients import collect_sample_gradients
from unit.numerics.fisher_networks import Case

NAMES = ("net.0.bias", "net.2.weight")  # 8 and 40 numbers


def collect(case, **chosen):
    return collect_sample_gradients(case.network, case.parameters, NAMES, case.inputs, IdentityFisher(), **chosen)


def test_rows_are_the_jacobian_sample_after_sample():
    case = Case("mlp", num_samples=3)
    jacobian = torch.func.jacrev(lambda own: case.apply(own, case.inputs).flatten())(case.parameters)
    blocks = list(collect(case))
    for name in NAMES:
        torch.testing.assert_close(torch.cat([block[name] for block in blocks]), jacobian[name])


@pytest.mark.parametrize(("block_numbers", "sizes"), [(1, [1] * 15), (48 * 3, [3, 2] * 3), (48 * 11, [10, 5])])
def test_a_block_has_no_more_numbers_than_it_may(monkeypatch, block_numbers, sizes):
    case = Case("mlp", num_samples=3)
    whole = [torch.cat(parts) for parts in zip(*(block.values() for block in collect(case)), strict=True)]
    monkeypatch.setattr(module, "BLOCK_NUMBERS", block_numbers)
    blocks = list(collect(case))
    assert [len(block["net.0.bias"]) for block in blocks] == sizes
    for name, expected in zip(NAMES, whole, strict=True):
        torch.testing.assert_close(torch.cat([block[name] for block in blocks]), expected)


def test_some_samples_are_those_of_all():
    case = Case("mlp", num_samples=4)
    everything = torch.cat([block["net.2.weight"] for block in collect(case)])
    some = torch.cat([block["net.2.weight"] for block in collect(case, samples=range(1, 3))])
    torch.testing.assert_close(some, everything[5:15])


def test_gradients_are_on_again_between_the_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 1)
    for _ in collect(Case("mlp", num_samples=1)):
        assert torch.is_grad_enabled()
