import pytest
import torch
from torch import nn

from grokprobe.context import Network
from grokprobe.numerics.layer_plan import LayerPlan, plan_layers
from unit.numerics.fisher_networks import Case

#: What has a closed form, the last layer, and the one below it.
PLANS = {
    "mlp": LayerPlan(closed=(0, 1), last=1, below=0),
    "deep_mlp": LayerPlan(closed=(0, 1, 2), last=2, below=1),
    "cnn": LayerPlan(closed=(0, 1, 2, 3), last=3, below=2),
    "odd_cnn": LayerPlan(closed=(0, 3), last=3),  # groups, circular padding
    "shared_weights": LayerPlan(closed=(2,)),  # the tied tensor has none; the output is no layer's own
    "positions": LayerPlan(closed=(0, 1, 2), last=2),  # a residual connection between the last two
    "sequence_first": LayerPlan(closed=(1,), last=1),
    "single_position": LayerPlan(closed=(1,), last=1),
    "token": LayerPlan(closed=(1, 2), last=2),  # not the one that sees no sample; two meet in a sum
}


def plan_network(network, parameters, inputs):
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in parameters.items()}
    return plan_layers(network.trace(leaves, inputs[:1]), network.trace(leaves, inputs[:1].repeat_interleave(2, dim=0)))


@pytest.mark.parametrize("name", PLANS)
def test_plan_of_a_network(name):
    case = Case(name)
    assert plan_network(case.network, case.parameters, case.inputs) == PLANS[name]


class Functional(nn.Module):
    """Uses the weight of its layer once more by itself."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3, bias=False)

    def forward(self, inputs):
        return self.layer(torch.tanh(nn.functional.linear(inputs, self.layer.weight)))


class Doubled(nn.Linear):
    """Computes something else than the layer it descends from."""

    def forward(self, inputs):
        return 2 * super().forward(inputs)


class Partly(nn.Module):
    """Has a layer that it never evaluates."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, inputs):
        return self.used(inputs)


@pytest.mark.parametrize(
    "module",
    [
        Functional(),
        Doubled(3, 3),
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
        nn.Sequential(layer := nn.Linear(3, 3, bias=False), nn.Tanh(), layer),
    ],
    ids=["functional", "subclass", "parametrization", "used twice"],
)
def test_layers_that_are_more_than_they_seem_have_no_closed_form(module):
    parameters = {name: tensor.detach() for name, tensor in module.named_parameters()}
    network = Network(module=module.eval(), mapping={name: name for name in parameters})
    assert plan_network(network, parameters, torch.ones(1, 3)) == LayerPlan()


def test_layer_that_is_not_evaluated_is_not_planned():
    module = Partly()
    parameters = {name: tensor.detach() for name, tensor in module.named_parameters()}
    network = Network(module=module.eval(), mapping={name: name for name in parameters})
    trace = network.trace({name: tensor.requires_grad_() for name, tensor in parameters.items()}, torch.ones(1, 2))
    assert [list(use.parameters) for use in trace.uses] == [["used.weight", "used.bias"]]
    assert plan_network(network, parameters, torch.ones(1, 2)) == LayerPlan(closed=(0,), last=0)
