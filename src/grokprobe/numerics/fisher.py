"""The diagonal of the Fisher information matrix of a network's parameters."""

from collections.abc import Collection, Mapping
from typing import Final

import torch

from grokprobe.errors import UsageError
from grokprobe.numerics.layer_plan import LayerPlan, plan_layers
from grokprobe.numerics.layer_squares import add_layer_squares, count_layer_numbers
from grokprobe.numerics.layer_trace import Differentiable
from grokprobe.numerics.output_fisher import OutputFisher
from grokprobe.numerics.sample_gradients import collect_sample_gradients

#: Numbers of one batch, up to a small factor.
BATCH_NUMBERS: Final = 1 << 22


def compute_fisher_diagonal(
    network: Differentiable,
    parameters: Mapping[str, torch.Tensor],
    inputs: torch.Tensor,
    output_fisher: OutputFisher,
    *,
    names: Collection[str] | None = None,
) -> dict[str, torch.Tensor]:
    """Computes F_ii = E_x[(JᵀGJ)_ii] with J = ∂f/∂θ, the mean over all inputs.

    The diagonal says how much information about one parameter the labels would carry if all others were known. It
    depends on the coordinates: it is invariant under a rescaling of single parameters with F_ii θ_i², but not under a
    rotation of neurons.

    Linear and two-dimensional convolution layers that are used once have closed forms; everything else is summed from
    the gradients of single samples. Memory beyond the result is bounded: samples are taken in batches.

    Args:
        network: treats every sample by itself.
        parameters: where; not modified.
        inputs: shape (num_samples, …), at least one sample.
        output_fisher: which Fisher information: the G(x) of the outputs.
        names: the parameters wanted; None for all.

    Returns:
        By name, float64, non-negative, of the parameters' shapes. A parameter that the outputs do not depend on has 0.

    Raises:
        UsageError: no sample.

    Reference:
        arXiv 2502.01739, Eq. 14.

    Example:
        >>> from grokprobe.numerics.layer_trace import PlainFunction
        >>> from grokprobe.numerics.output_fisher import exact_fisher
        >>> line = PlainFunction(apply=lambda own, x: x * own["slope"])
        >>> x = torch.tensor([[1.0], [3.0]])
        >>> found = compute_fisher_diagonal(line, {"slope": torch.ones(1)}, x, exact_fisher("gaussian"))
        >>> assert found["slope"].item() == (1**2 + 3**2) / 2
    """
    if len(inputs) == 0:
        raise UsageError("Fisher information: expected at least one sample, found none")
    wanted = tuple(name for name in parameters if names is None or name in names)
    # All are leaves of the graph, and counted: a layer with an unwanted bias has a closed form like any other.
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in parameters.items()}
    totals = {name: torch.zeros_like(tensor, dtype=torch.float64) for name, tensor in parameters.items()}
    covered = _add_closed_forms(totals, network, leaves, inputs, output_fisher)
    if others := tuple(name for name in wanted if name not in covered):
        for block in collect_sample_gradients(network, parameters, others, inputs, output_fisher):
            for name, gradients in block.items():
                totals[name] += gradients.to(torch.float64).square().sum(dim=0)
    return {name: totals[name].div_(len(inputs)) for name in wanted}


@torch.enable_grad()
def _add_closed_forms(
    totals: Mapping[str, torch.Tensor],
    network: Differentiable,
    leaves: Mapping[str, torch.Tensor],
    inputs: torch.Tensor,
    output_fisher: OutputFisher,
) -> set[str]:
    """Adds the layers that have a closed form, and returns the names of their parameters."""
    single = network.trace(leaves, inputs[:1])
    plan = plan_layers(single, network.trace(leaves, torch.cat([inputs[:1], inputs[:1]])))
    if plan == LayerPlan():
        return set()
    num_samples = max(1, BATCH_NUMBERS // count_layer_numbers(single, plan))
    for start in range(0, len(inputs), num_samples):
        rows = slice(start, start + num_samples)
        add_layer_squares(totals, network.trace(leaves, inputs[rows]), plan, output_fisher, rows)
    return {name for number in plan.closed for name in single.uses[number].parameters}
