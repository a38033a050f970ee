"""What the linear and convolution layers of a network take and give while it is evaluated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge

from grokprobe.numerics.attention import differentiable_attention

#: Layers whose per-sample gradients have a closed form. A subclass may compute something else and is left out.
CLOSED_FORMS: Final = (torch.nn.Linear, torch.nn.Conv2d)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerUse:
    """One evaluation of a layer."""

    #: The module.
    layer: torch.nn.Linear | torch.nn.Conv2d
    #: Its parameters by name, weight first, then the bias if there is one.
    parameters: Mapping[str, torch.Tensor]
    #: What it was given, shape (num_samples, …).
    inputs: torch.Tensor
    #: Shape of what it gave, (num_samples, …).
    shape: tuple[int, ...]
    #: Where the gradient with respect to what it gave is to be had, whatever works in place afterwards.
    edge: GradientEdge

    @property
    def is_flat(self) -> bool:
        """Whether it is linear with one row of inputs a sample."""
        return isinstance(self.layer, torch.nn.Linear) and self.inputs.ndim == 2

    @property
    def weight(self) -> torch.Tensor:
        """Its weight, (out, …)."""
        return next(iter(self.parameters.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTrace:
    """The outputs of a network, and the layers they came from."""

    #: Shape (num_samples, …), with a graph back to the parameters.
    outputs: torch.Tensor
    #: In order of execution.
    uses: tuple[LayerUse, ...]


class Differentiable(Protocol):
    """A network as a function of its parameters. It treats every sample by itself.

    The ``Context`` of a measure is one.
    """

    def apply(self, parameters: Mapping[str, torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        """Returns the outputs, shape (num_samples, …)."""
        ...

    def trace(self, parameters: Mapping[str, torch.Tensor], inputs: torch.Tensor) -> LayerTrace:
        """Returns the outputs together with the layers; layers may be missing, and are then treated generically."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFunction:
    """A network of which nothing is known."""

    #: Parameters and inputs → outputs.
    apply: Callable[[Mapping[str, torch.Tensor], torch.Tensor], torch.Tensor]

    def trace(self, parameters: Mapping[str, torch.Tensor], inputs: torch.Tensor) -> LayerTrace:
        """Returns the outputs and no layers."""
        return LayerTrace(outputs=self.apply(parameters, inputs), uses=())


def call_module(
    module: torch.nn.Module,
    mapping: Mapping[str, str],
    parameters: Mapping[str, torch.Tensor],
    inputs: torch.Tensor,
) -> torch.Tensor:
    """Evaluates ``module`` at ``parameters``.

    A buffer such as the running mean of a normalisation is a constant: nothing is differentiated by it.

    Args:
        module: in evaluation mode.
        mapping: the module's own names of parameters and buffers → those of ``parameters``.
        parameters: by name.
        inputs: shape (num_samples, …).
    """
    buffers = {name for name, _ in module.named_buffers(remove_duplicate=False)}
    own = {
        name: parameters[foreign].detach() if name in buffers else parameters[foreign]
        for name, foreign in mapping.items()
    }
    return torch.func.functional_call(module, own, (inputs,), tie_weights=False)


def trace_layers(
    module: torch.nn.Module,
    mapping: Mapping[str, str],
    parameters: Mapping[str, torch.Tensor],
    inputs: torch.Tensor,
) -> LayerTrace:
    """Evaluates ``module`` at ``parameters`` and records its linear and two-dimensional convolution layers.

    Args:
        module: in evaluation mode.
        mapping: the module's own parameter names → those of ``parameters``.
        parameters: those that layers are recorded for require a gradient.
        inputs: shape (num_samples, …).
    """
    uses: list[LayerUse] = []

    def recording(names: tuple[str, ...]) -> Callable[[torch.nn.Module, Any, torch.Tensor], None]:
        def hook(layer: Any, arguments: Any, outputs: torch.Tensor) -> None:
            found = {name: parameters[name] for name in names}
            if layer.weight is parameters[names[0]] and outputs.grad_fn is not None:
                edge = get_gradient_edge(outputs)
                uses.append(
                    LayerUse(layer=layer, parameters=found, inputs=arguments[0], shape=tuple(outputs.shape), edge=edge)
                )

        return hook

    handles = [
        layer.register_forward_hook(recording(tuple(mapping[name] for name in names)))
        for label, layer in module.named_modules()
        if type(layer) in CLOSED_FORMS and (names := _parameter_names(label, layer)) and mapping.keys() >= set(names)
    ]
    try:
        with differentiable_attention():
            outputs = call_module(module, mapping, parameters, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return LayerTrace(outputs=outputs, uses=tuple(uses))


def _parameter_names(label: str, layer: torch.nn.Module) -> list[str]:
    """Returns the layer's own parameters, weight first; one that is computed from others is missing there."""
    return [f"{label}.{name}" if label else name for name, _ in layer.named_parameters(recurse=False)]
