"""Sums over samples of squared gradients, layer by layer, without the gradients of single samples where they factor."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch.nn import functional

from grokprobe.numerics.layer_plan import LayerPlan
from grokprobe.numerics.layer_trace import LayerTrace, LayerUse
from grokprobe.numerics.output_fisher import OutputFisher

#: On a processor inputs are multiplied as a sparse matrix if at most one in this many is not zero: one-hot ones are.
SPARSITY: Final = 16

#: Sums by parameter name, float64.
Sums = Mapping[str, torch.Tensor]


def add_layer_squares(
    totals: Sums, trace: LayerTrace, plan: LayerPlan, output_fisher: OutputFisher, rows: slice
) -> None:
    """Adds Σ_x Σ_d (Jᵀu_d)² of every layer that ``plan`` has a closed form for.

    With δ_d the gradient of u_d · f with respect to a layer's pre-activations and x its inputs, that of the weights of
    a linear layer is δ_d xᵀ, so the sum of squares is (Σ_d δ_d²)ᵀ x². At the last linear layer Σ_d δ_d² = diag G. At
    the layer below it, where h = φ(z) elementwise, Σ_d δ_d² = φ'(z)² diag(VᵀGV): one backward pass in place of one for
    each output. Every other layer takes a backward pass for each direction u_d. The gradient of a convolution is
    δ_d Uᵀ, with U the patches that it sees, summed over positions for each sample.

    Args:
        totals: sums so far, float64, of the parameters' shapes; added to in place.
        trace: of the samples ``rows``.
        plan: of the network.
        output_fisher: gives the directions u_d, G and diag(VᵀGV).
        rows: the samples.
    """
    outputs = trace.outputs.detach().flatten(start_dim=1)
    done = {plan.last}
    if plan.last is not None:
        last = trace.uses[plan.last]
        _add_flat(totals, last, output_fisher.diagonal(outputs, rows))
        if plan.below is not None and output_fisher.num_directions(outputs.shape[1]) > 1:
            done.add(plan.below)
            below, spread = trace.uses[plan.below], output_fisher.spread(outputs, rows, last.weight.detach())
            _add_flat(totals, below, _square(_compute_slopes(last.inputs, below)).mul_(spread))
    remaining = [trace.uses[number] for number in plan.closed if number not in done]
    if remaining:
        for direction in output_fisher.directions(outputs, rows):
            wanted = direction.to(outputs.dtype).reshape(trace.outputs.shape)
            gradients = torch.autograd.grad(trace.outputs, [use.edge for use in remaining], wanted, retain_graph=True)
            _add_direction(totals, remaining, gradients)


def count_layer_numbers(trace: LayerTrace, plan: LayerPlan) -> int:
    """Returns how many numbers :func:`add_layer_squares` holds at a time for each sample, up to a small factor.

    Args:
        trace: of one sample.
        plan: of the network.
    """
    counts = [trace.outputs.numel()]
    for use in (trace.uses[number] for number in plan.closed):
        counts += [use.inputs.numel(), math.prod(use.shape)]
        if not use.is_flat:
            num_inputs = use.weight[0].numel()
            num_positions = math.prod(use.shape) // len(use.weight)
            counts += [num_inputs * num_positions, use.weight.numel()]
    return max(counts)


def _compute_slopes(hidden: torch.Tensor, below: LayerUse) -> torch.Tensor:
    """Returns φ'(z) of ``hidden`` = φ(z), elementwise."""
    (slopes,) = torch.autograd.grad(hidden, [below.edge], torch.ones_like(hidden), retain_graph=True)
    return slopes


def _add_direction(totals: Sums, uses: Sequence[LayerUse], gradients: Sequence[torch.Tensor]) -> None:
    for use, deltas in zip(uses, gradients, strict=True):
        if use.is_flat:
            _add_flat(totals, use, _square(deltas))
        else:
            _add_positions(totals, use, deltas)


def _add_flat(totals: Sums, use: LayerUse, squares: torch.Tensor) -> None:
    """Adds a linear layer with one row a sample, given Σ_d δ_d², shape (num_samples, out)."""
    weight, *biases = use.parameters
    inputs = _square(use.inputs.detach())
    if _is_sparse(inputs):
        totals[weight].add_(torch.sparse.mm(inputs.T.to_sparse(), squares).T)
    else:
        totals[weight].addmm_(squares.T, inputs)
    for bias in biases:
        totals[bias].add_(squares.sum(dim=0))


def _is_sparse(inputs: torch.Tensor) -> bool:
    """Judges by the first samples; on a GPU never, where it would have to be waited for."""
    first = inputs[:8]
    return inputs.device.type == "cpu" and bool(first.count_nonzero() * SPARSITY <= first.numel())


def _add_positions(totals: Sums, use: LayerUse, deltas: torch.Tensor) -> None:
    """Adds a layer that is applied at many positions of a sample, given one δ_d."""
    weight, *biases = use.parameters
    deltas, patches = _by_position(use, deltas)
    totals[weight].add_(_square(torch.bmm(deltas, patches)).sum(dim=0).reshape(use.weight.shape))
    for bias in biases:
        totals[bias].add_(_square(deltas.sum(dim=2)).sum(dim=0))


def _square(values: torch.Tensor) -> torch.Tensor:
    """Returns the squares in float64: those of float32 numbers would underflow below 1e-23."""
    return values.to(torch.float64, copy=True).square_()


def _by_position(use: LayerUse, deltas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns δ, shape (num_samples, out, positions), and what the layer sees, (num_samples, positions, in)."""
    inputs, layer = use.inputs.detach(), use.layer
    if isinstance(layer, torch.nn.Linear):
        return deltas.flatten(1, -2).transpose(1, 2), inputs.flatten(1, -2)
    return deltas.flatten(start_dim=2), _collect_patches(inputs, layer, use.shape[2:])


def _collect_patches(inputs: torch.Tensor, layer: torch.nn.Conv2d, size: tuple[int, ...]) -> torch.Tensor:
    """Returns the patches that a convolution sees, shape (num_samples, positions, in · height · width).

    One strided copy: ``torch.nn.functional.unfold`` goes through the samples one by one.
    """
    (height, width), (row_step, column_step) = layer.kernel_size, layer.dilation
    rows, columns = (int(number) for number in layer.padding)
    padded = functional.pad(inputs, (columns, columns, rows, rows)).contiguous()
    num_samples, num_channels = padded.shape[:2]
    along_samples, along_channels, along_rows, along_columns = padded.stride()
    windows = padded.as_strided(
        (num_samples, num_channels, height, width, *size),
        (
            along_samples,
            along_channels,
            along_rows * row_step,
            along_columns * column_step,
            along_rows * layer.stride[0],
            along_columns * layer.stride[1],
        ),
    )
    return windows.reshape(num_samples, num_channels * height * width, -1).transpose(1, 2)
