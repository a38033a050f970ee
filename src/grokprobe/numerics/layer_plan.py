"""Which layers of a network have a closed form for the squares of their per-sample gradients."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import torch

from grokprobe.numerics.layer_trace import LayerTrace, LayerUse

#: Operations whose every output depends on one input, that at its own place.
ELEMENTWISE: Final = frozenset(
    f"{name}Backward{number}"
    for name in (
        "Relu", "LeakyRelu", "Elu", "Celu", "Gelu", "Silu", "Softplus", "Sigmoid", "LogSigmoid", "Tanh", "Hardtanh",
        "Hardswish", "Hardsigmoid", "Threshold", "Clone", "Neg", "Abs", "Exp", "Sin", "Cos",
    )
    for number in (0, 1, 2)
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """What is done with the uses of a trace, by their number."""

    #: Uses with a closed form.
    closed: tuple[int, ...] = ()
    #: The linear layer whose result is the network's output; None where the output is something else.
    last: int | None = None
    #: The linear layer with only :data:`ELEMENTWISE` operations between it and the last one; None where there is none.
    below: int | None = None


def plan_layers(trace: LayerTrace, pair: LayerTrace) -> LayerPlan:
    """Decides on the layers of a network from its evaluation on one sample and on two.

    A layer has a closed form if each of its parameters enters the graph once, here, and its first axis is the samples.
    So a tensor that is used twice, under whatever names, has none, nor has a layer that sees the same for all samples,
    such as a learned token.

    Args:
        trace: of one sample, at parameters that require a gradient.
        pair: of two samples, which may be the same one twice.
    """
    num_uses = _count_leaf_uses(trace.outputs)
    closed = tuple(
        number
        for number, (use, twice) in enumerate(zip(trace.uses, pair.uses, strict=True))
        if (len(use.inputs), len(twice.inputs)) == (1, 2)
        and all(num_uses[id(leaf)] == 1 for leaf in use.parameters.values())
        and _is_plain(use.layer)
    )
    last = closed[-1] if closed and _is_output(trace, trace.uses[closed[-1]]) else None
    if last is None:
        return LayerPlan(closed=closed)
    below = _find_source(trace.uses[last].inputs)
    found = (n for n in closed if trace.uses[n].is_flat and tuple(trace.uses[n].edge)[:2] == below)
    return LayerPlan(closed=closed, last=last, below=next(found, None))


def _is_plain(layer: torch.nn.Linear | torch.nn.Conv2d) -> bool:
    if isinstance(layer, torch.nn.Linear):
        return True
    return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def _is_output(trace: LayerTrace, use: LayerUse) -> bool:
    return use.is_flat and trace.outputs.ndim == 2 and use.edge.node is trace.outputs.grad_fn


def _find_source(tensor: torch.Tensor) -> tuple[Any, int] | None:
    """Follows elementwise operations back from ``tensor``; returns node and output number where they end."""
    node, number = tensor.grad_fn, tensor.output_nr
    while node is not None and node.name() in ELEMENTWISE:
        node, number = next(((n, i) for n, i in node.next_functions if n is not None), (None, 0))
    return None if node is None else (node, number)


def _count_leaf_uses(outputs: torch.Tensor) -> Counter[int]:
    """Returns how often each leaf, by its ``id``, enters the graph of ``outputs``."""
    counts: Counter[int] = Counter()
    seen: set[Any] = set()
    queue: list[Any] = [outputs.grad_fn]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for following, _ in node.next_functions:
            if following is not None and following.name() == "torch::autograd::AccumulateGrad":
                counts[id(following.variable)] += 1
            else:
                queue.append(following)
    return counts
