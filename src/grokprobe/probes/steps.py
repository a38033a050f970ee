"""The ``steps`` probe: which way the parameters move, and which of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from grokprobe import names
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.layers import layer_label
from grokprobe.numerics.steps import NUM_DECILES, Cosines, Relative, compute_cosines, compute_decile_changes
from grokprobe.probes.steps_variables import steps_variables
from grokprobe.probes.weight_tensors import WeightSelection, select_weights
from grokprobe.variables import Coordinate, Measurement, VariableSpec


class StepsOptions(BaseModel):
    """Options of the ``steps`` probe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Whether vectors count too: biases, and the scales of normalisations. Each is a layer of its own.
    biases: bool = False
    #: What the change of a weight is relative to: the size of its decile, or its own, as in the authors' code.
    relative: Relative = "decile"


class StepsProbe:
    """Compares the parameters of a checkpoint with its neighbours' and with the first one's.

    Steps join stored neighbours, however many epochs lie between them, in the Euclidean metric. Dimensions: ``layer``,
    one per weight tensor in the order of the file; ``decile``, from the smallest magnitudes (1) to the largest (10).

    The authors' code computes the same cosines of checkpoints. Its cosine of steps compares a model with its own copy,
    which is not reproduced; the variant ``steps@authors`` has its relative change.

    Reference:
        code of arXiv 2502.01739; not in the paper.
    """

    name = "steps"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS, Requirement.NEIGHBOURS, Requirement.INITIAL})
    is_cheap = True
    options: type[BaseModel] = StepsOptions
    variants: Mapping[str, Mapping[str, Any]] = {"authors": {"relative": "weight"}, "biases": {"biases": True}}

    def applies(self, subject: Subject, options: StepsOptions) -> Applicability:
        """Says whether there is a weight tensor, and which tensors are left out because they never change."""
        selection = _select(subject, options)
        return Applicability(reason=selection.reason, notices=selection.notices)

    def variables(self, options: StepsOptions) -> tuple[VariableSpec, ...]:
        """Returns the specifications."""
        return steps_variables(options.relative)

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint."""
        options: StepsOptions = context.options
        weights = _select(context.subject, options).parameters
        here = _tensors(context.parameters, weights)
        rounding = [_rounding(context.parameters[name]) for name in weights]
        before, after = (_tensors(parameters, weights) for parameters in (context.previous, context.next))
        cosines = {
            "previous_cosine": compute_cosines(here, before) if before else _undefined(len(here)),
            "initial_cosine": compute_cosines(here, _tensors(context.initial, weights)),
            "step_cosine": _step_cosines(before, here, after, rounding),
        }
        values = {name: cosine.parts.cpu().numpy() for name, cosine in cosines.items()}
        values |= {f"network_{name}": cosine.whole.cpu().numpy() for name, cosine in cosines.items()}
        return Measurement(
            values=values | _changes(here, before, options.relative),
            coordinates=_coordinates([layer_label(name, context.subject.shapes) for name in weights]),
        )


def _select(subject: Subject, options: StepsOptions) -> WeightSelection:
    return select_weights(subject, biases=options.biases)


def _tensors(parameters: Parameters | None, weights: tuple[str, ...]) -> list[torch.Tensor]:
    """Returns the weights as float64 vectors; none beyond an end of the run."""
    if parameters is None:
        return []
    return [parameters[name].detach().to(torch.float64).flatten() for name in weights]


def _undefined(num_layers: int) -> Cosines:
    return Cosines(
        parts=torch.full((num_layers,), torch.nan, dtype=torch.float64),
        whole=torch.tensor(torch.nan, dtype=torch.float64),
    )


def _rounding(weights: torch.Tensor) -> float:
    """Returns the norm of a step that changes every weight by one rounding of its type."""
    return torch.finfo(weights.dtype).eps * torch.linalg.vector_norm(weights, dtype=torch.float64).item()


def _step_cosines(
    before: list[torch.Tensor], here: list[torch.Tensor], after: list[torch.Tensor], rounding: list[float]
) -> Cosines:
    if not before or not after:
        return _undefined(len(here))
    return compute_cosines(_differences(here, before), _differences(after, here), rounding)


def _differences(later: list[torch.Tensor], earlier: list[torch.Tensor]) -> list[torch.Tensor]:
    return [one - other for one, other in zip(later, earlier, strict=True)]


def _changes(here: list[torch.Tensor], before: list[torch.Tensor], relative: Relative) -> dict[str, np.ndarray]:
    if not before:
        layers, network = torch.full((len(here), NUM_DECILES), torch.nan), torch.full((NUM_DECILES,), torch.nan)
    else:
        pairs = zip(here, before, strict=True)
        layers = torch.stack([compute_decile_changes(weights, previous, relative) for weights, previous in pairs])
        network = compute_decile_changes(torch.cat(here), torch.cat(before), relative)
    return {"decile_change": layers.cpu().numpy(), "network_decile_change": network.cpu().numpy()}


def _coordinates(labels: list[str]) -> dict[str, Coordinate]:
    return {
        names.LAYER: Coordinate(dim=names.LAYER, values=np.array(labels), description="weight tensor"),
        names.DECILE: Coordinate(
            dim=names.DECILE,
            values=np.arange(1, NUM_DECILES + 1),
            description="tenth of the weights by magnitude, 1 the smallest",
        ),
    }
