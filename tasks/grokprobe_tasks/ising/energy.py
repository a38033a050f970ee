"""The ``energy`` probe: which features of a snapshot the units of each layer follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.evaluation import EVALUATION_BATCH
from grokprobe.interfaces import Applicability, Context, Requirement, Subject, Task
from grokprobe.numerics.comoments import Comoments, compute_comoments
from grokprobe.numerics.correlation import (
    compute_correlation,
    compute_partial_correlation,
    compute_weighted_mean,
    find_best_feature,
)
from grokprobe.variables import Coordinate, Measurement, VariableSpec
from grokprobe_tasks.ising.energy_variables import ENERGY_VARIABLES


class EnergyOptions(BaseModel):
    """Options of the ``energy`` probe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: A unit is constant if its standard deviation is at most this many roundings of its largest magnitude, in the
    #: precision of the pre-activations (1.2e-7 in float32): a unit that is only its bias leaves such noise.
    constant_threshold: float = Field(default=4.0, ge=0, allow_inf_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    label: str
    #: Shape of the layer's output for one sample.
    shape: tuple[int, ...]
    #: Relative rounding of its numbers.
    eps: float
    comoments: Comoments

    @property
    def num_units(self) -> int:
        return len(self.comoments.unit_means)


class EnergyProbe:
    """Correlates every unit with the energy and the other features of its input, over the test samples.

    A network that has found the feature that separates the phases has hidden units that follow the energy E; one that
    follows |M| instead has found less. A unit is one number of the output of a linear or convolution layer before any
    nonlinearity or pooling, logits included; a convolution has one unit per channel, row and column.

    Dimensions: ``layer``, in the order of execution, a layer that is used again as one more; ``neuron``, the units of
    all layers one after the other; ``feature``, those of the task in its order.

    The coordinates ``channel``, ``row`` and ``column`` are −1 where they mean nothing: all three for a linear layer;
    row and column for a convolution in one or three dimensions.

    Reference:
        arXiv 2502.01739, Eq. 6, Fig. 3, 12, 13 and 28-30.
    """

    name = "energy"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TEST_SPLIT})
    is_cheap = True
    options: type[BaseModel] = EnergyOptions
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: EnergyOptions) -> Applicability:  # noqa: ARG002 - none matters
        """Says whether the task knows the energy of its inputs."""
        if subject.task is None:
            return Applicability(reason="no task is known, so no energy of its inputs")
        if "energy" not in subject.task.feature_names:
            return Applicability(reason=f"task {subject.task.name} knows no energy of its inputs")
        return Applicability()

    def variables(self, options: EnergyOptions) -> tuple[VariableSpec, ...]:  # noqa: ARG002 - always the same
        """Returns the specifications."""
        return ENERGY_VARIABLES

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint.

        Raises:
            UsageError: no task, a network without linear or convolution layers, one that does not keep samples apart,
                or no test samples.
        """
        task = context.subject.task
        if task is None:
            raise UsageError("probe energy: expected a task that knows the energy of its inputs, found none")
        options: EnergyOptions = context.options
        layers = _gather(context, task)
        rows = [_summarise(layer, options.constant_threshold) for layer in layers]
        values = {
            spec.name: np.concatenate([row[spec.name].cpu().numpy() for row in rows])
            if names.NEURON in spec.dims
            else np.stack([row[spec.name].cpu().numpy() for row in rows])
            for spec in ENERGY_VARIABLES
        }
        return Measurement(values=values, coordinates=_coordinates(layers, context.subject.shapes, task.feature_names))


@torch.inference_mode()
def _gather(context: Context, task: Task) -> list[_Layer]:
    layers: dict[str, _Layer] = {}
    inputs = context.test.inputs
    for start in range(0, len(inputs), EVALUATION_BATCH):
        batch = inputs[start : start + EVALUATION_BATCH]
        by_name = task.features(batch)
        features = torch.stack([by_name[name] for name in task.feature_names], dim=1)
        for label, outputs in context.pre_activations(context.parameters, batch).items():
            if len(outputs) != len(batch):
                raise UsageError(
                    f"probe energy, layer {label}: expected the first axis to be the {len(batch)} samples,"
                    f" found shape {tuple(outputs.shape)}; leave the probe out for this network"
                )
            comoments = compute_comoments(outputs.flatten(start_dim=1), features)
            known = layers.get(label)
            layers[label] = _Layer(
                label=label,
                shape=tuple(outputs.shape[1:]),
                eps=torch.finfo(outputs.dtype).eps,
                comoments=comoments if known is None else known.comoments.merged(comoments),
            )
    if not layers:
        raise UsageError(
            f"probe energy: expected linear or convolution layers and test samples, found {len(inputs)} samples and no"
            " such layer; leave the probe out for this network"
        )
    return list(layers.values())


def _summarise(layer: _Layer, constant_threshold: float) -> dict[str, torch.Tensor]:
    """Returns the values of one layer by variable."""
    tolerance = constant_threshold * layer.eps
    comoments = layer.comoments
    weights = comoments.unit_magnitudes
    correlation = compute_correlation(comoments, tolerance)
    partial = compute_partial_correlation(comoments, tolerance)
    weighted = compute_weighted_mean(correlation.abs(), weights)
    is_best = _indicate(find_best_feature(correlation), correlation)
    return {
        "correlation": correlation,
        "partial_correlation": partial,
        "weighted_correlation": weighted,
        "weighted_correlation_eq6": weighted / (~correlation.isnan()).sum(dim=0),
        "weighted_partial_correlation": compute_weighted_mean(partial.abs(), weights),
        "best_feature_fraction": is_best.nanmean(dim=0),
        "activation_share": compute_weighted_mean(is_best, weights),
        "constant_fraction": comoments.find_constant_units(tolerance).to(torch.float64).mean(),
    }


def _indicate(best: torch.Tensor, correlation: torch.Tensor) -> torch.Tensor:
    """Returns 1 at the best feature of each unit, 0 at the others; NaN where the correlation is."""
    features = torch.arange(correlation.shape[1], device=correlation.device)
    return (best.unsqueeze(1) == features).to(torch.float64).where(~correlation.isnan(), torch.nan)


def _coordinates(
    layers: Sequence[_Layer], shapes: Mapping[str, tuple[int, ...]], feature_names: tuple[str, ...]
) -> dict[str, Coordinate]:
    labels = np.array([layer.label for layer in layers])
    num_units = [layer.num_units for layer in layers]
    sites = np.concatenate([_sites(layer, shapes) for layer in layers])
    along_neurons = {
        names.NEURON_LAYER: (np.repeat(labels, num_units), "layer of the unit"),
        names.NEURON_INDEX: (
            np.concatenate([np.arange(count) for count in num_units]),
            "index within the layer: its output for one sample, flattened in C order",
        ),
        names.CHANNEL: (sites[:, 0], "output channel of a convolution; -1 for a linear layer"),
        names.ROW: (sites[:, 1], "row of a two-dimensional convolution's output; -1 for any other layer"),
        names.COLUMN: (sites[:, 2], "column of a two-dimensional convolution's output; -1 for any other layer"),
    }
    return {
        names.LAYER: Coordinate(dim=names.LAYER, values=labels, description="layer, in the order of execution"),
        **{
            name: Coordinate(dim=names.NEURON, values=values, description=description)
            for name, (values, description) in along_neurons.items()
        },
        names.FEATURE: Coordinate(
            dim=names.FEATURE, values=np.array(feature_names), description="known feature of an input"
        ),
    }


def _sites(layer: _Layer, shapes: Mapping[str, tuple[int, ...]]) -> np.ndarray:
    """Returns channel, row and column of every unit, shape (num_units, 3); −1 where they mean nothing."""
    sites = np.full((layer.num_units, 3), -1)
    parameter = layer.label.partition("#")[0]  # a layer used again is label#2
    weight_shape = shapes.get(f"{parameter}.weight", shapes.get(parameter, ()))
    if len(weight_shape) <= 2:
        return sites
    positions = np.indices(layer.shape).reshape(len(layer.shape), -1).T
    columns = 3 if len(weight_shape) == 4 else 1
    sites[:, :columns] = positions[:, :columns]
    return sites
