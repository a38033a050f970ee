import dataclasses

import pytest
import torch
from torch import nn

from grokprobe.errors import UsageError
from grokprobe_llc.landscape import Landscape, Sampling
from small_problems import convolution_context, linear_context

SAMPLED = ["0.weight", "0.bias", "1.weight", "1.bias", "5.weight", "5.bias"]
WHOLE = Sampling(batch_size=None, samples_at_once=1000, is_vectorised=True)


def build(context, names=SAMPLED, **changes):
    return Landscape(context, context.task, names, dataclasses.replace(WHOLE, **changes))


def displacements_for(landscape, num_chains=3, size=0.1):
    generator = torch.Generator().manual_seed(2)
    return size * torch.randn(num_chains, len(landscape.origin), generator=generator).to(landscape.origin)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def loss_by_hand(context, names, displacement, rows=slice(None)):
    """L(w* + δ) − L(w*) and its gradient, by ordinary differentiation of one network."""
    shapes = [context.parameters[name].shape for name in names]
    parts = displacement.split([shape.numel() for shape in shapes])
    moved = {
        name: (context.parameters[name] + part.view(shape)).requires_grad_()
        for name, part, shape in zip(names, parts, shapes, strict=True)
    }
    inputs, targets = context.train_samples.inputs[rows], context.train_samples.targets[rows]
    loss = context.task.loss(context.apply({**context.parameters, **moved}, inputs), targets)
    loss.backward()
    gradient = torch.cat([tensor.grad.flatten() for tensor in moved.values()])
    reference = context.task.loss(context.apply(context.parameters, inputs), targets)
    return (loss - reference).detach(), gradient


@pytest.mark.parametrize("is_vectorised", [True, False])
def test_agrees_with_one_network_after_the_other(is_vectorised):
    context = convolution_context(torch.float64)
    landscape = build(context, is_vectorised=is_vectorised, samples_at_once=17)
    displacements = displacements_for(landscape)
    losses, gradients = landscape.evaluate(displacements, generators(0, 1, 2))
    for chain, displacement in enumerate(displacements):
        loss, gradient = loss_by_hand(context, SAMPLED, displacement)
        torch.testing.assert_close(losses[chain], loss, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(gradients[chain], gradient, rtol=1e-9, atol=1e-12)


def test_blocks_and_neighbours_change_only_rounding():
    landscapes = [build(convolution_context(), samples_at_once=size) for size in (1, 16, 50)]
    displacements = displacements_for(landscapes[0])
    whole = landscapes[2].evaluate(displacements, generators(0, 1, 2))
    for landscape in landscapes[:2]:
        for found, expected in zip(landscape.evaluate(displacements, generators(0, 1, 2)), whole, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    alone = landscapes[2].evaluate(displacements[1:2], generators(1))
    torch.testing.assert_close(alone[0][0], whole[0][1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(alone[1][0], whole[1][1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("is_vectorised", [True, False])
def test_minibatch_is_the_chains_own_and_both_losses_are_over_it(is_vectorised):
    context = convolution_context(torch.float64)
    landscape = build(context, batch_size=20, samples_at_once=8, is_vectorised=is_vectorised)
    displacements = displacements_for(landscape)
    losses, gradients = landscape.evaluate(displacements, generators(5, 6, 7))
    for chain, seed in enumerate((5, 6, 7)):
        rows = torch.randperm(50, generator=torch.Generator().manual_seed(seed))[:20]
        loss, gradient = loss_by_hand(context, SAMPLED, displacements[chain], rows)
        torch.testing.assert_close(losses[chain], loss, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(gradients[chain], gradient, rtol=1e-9, atol=1e-12)


def test_minibatches_are_right_on_average():
    context = convolution_context(torch.float64)
    displacements = displacements_for(build(context), num_chains=1).expand(400, -1)
    exact, exact_gradient = build(context).evaluate(displacements[:1], generators(0))
    losses, gradients = build(context, batch_size=10).evaluate(displacements, generators(*range(400)))
    assert abs(losses.mean() - exact[0]) < 4 * losses.std() / 20
    deviations = (gradients.mean(dim=0) - exact_gradient[0]) / (gradients.std(dim=0) / 20 + 1e-12)
    assert deviations.abs().max() < 5


def test_minibatch_of_all_samples_is_all_samples():
    context = convolution_context(torch.float64)
    displacements = displacements_for(build(context))
    whole = build(context).evaluate(displacements, generators(0, 1, 2))
    more = build(context, batch_size=50).evaluate(displacements, generators(0, 1, 2))
    assert torch.equal(whole[0], more[0])


def test_nothing_is_lost_at_the_checkpoint_itself():
    landscape = build(convolution_context(), batch_size=20)
    losses, gradients = landscape.evaluate(torch.zeros(2, len(landscape.origin)), generators(0, 1))
    assert losses.dtype == torch.float64
    assert gradients.dtype == torch.float32
    assert losses.abs().max() < 1e-6


def test_parameters_that_are_not_sampled_stay():
    context = linear_context()
    bias_only = build(context, ["bias"])
    displacement = torch.tensor([[0.1, 0.0, -0.2]], dtype=torch.float64)
    losses, gradients = bias_only.evaluate(displacement, generators(0))
    torch.testing.assert_close(losses, torch.tensor([(0.1**2 + 0.2**2) / 2], dtype=torch.float64))  # at the optimum
    torch.testing.assert_close(gradients, displacement)


def test_half_precision_is_sampled_in_single():
    context = linear_context()
    halves = {name: tensor.half() for name, tensor in context.parameters.items()}
    samples = dataclasses.replace(context.train_samples, inputs=context.train_samples.inputs.float())
    half = dataclasses.replace(context, parameters=halves, model=nn.Linear(4, 3).half(), train_samples=samples)
    landscape = build(half, ["weight", "bias"])
    assert landscape.origin.dtype == torch.float32
    losses, _ = landscape.evaluate(displacements_for(landscape), generators(0, 1, 2))
    assert (losses > 0).all()


class Branching(nn.Linear):
    def forward(self, inputs):
        outputs = super().forward(inputs)
        return outputs if outputs.sum() > 0 else 2 * outputs


def test_network_that_cannot_be_vectorised_is_named_with_the_remedy():
    context = dataclasses.replace(linear_context(), model=Branching(4, 3, dtype=torch.float64))
    names = ["weight", "bias"]
    with pytest.raises(UsageError, match=r"for 2 chains at once, found: .*; set llc.vectorise=false"):
        build(context, names).evaluate(torch.zeros(2, 15, dtype=torch.float64), generators(0, 1))
    one_by_one = build(context, names, is_vectorised=False)
    losses, _ = one_by_one.evaluate(displacements_for(one_by_one), generators(0, 1, 2))
    assert losses.isfinite().all()
