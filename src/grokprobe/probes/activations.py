"""The ``activations`` probe: dead units, and how many directions each layer uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from grokprobe import names
from grokprobe.interfaces import Applicability, Context, Requirement, Subject
from grokprobe.numerics.activity import Activity, compute_activity
from grokprobe.numerics.cross_products import CrossProducts, compute_cross_products
from grokprobe.numerics.effective_rank import EffectiveRank, compute_effective_rank
from grokprobe.probes.layer_outputs import PRE_ACTIVATIONS, iterate_layer_outputs, layer_coordinate
from grokprobe.variables import Measurement, VariableSpec


class ActivationsOptions(BaseModel):
    """Options of the ``activations`` probe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: A layer with more units has no ranks: they need a float64 matrix of its units squared.
    max_units: int = Field(default=2048, ge=1)


_LAST: Final = "NaN for the layer that is executed last, the outputs, which no ReLU follows"
_ROUNDING: Final = (
    "singular values at most the relative rounding of their type times the root of the sum of all squared"
    " pre-activations count as zero"
)
_UNDEFINED: Final = "NaN for a layer that does not vary, is not finite or has more than max_units units"

ACTIVATIONS_VARIABLES: Final = (
    VariableSpec(
        name="dead_fraction",
        dims=(names.LAYER,),
        bounds=(0, 1),
        description=(
            "Units whose pre-activation is at most 0 on every test sample, as a share of the layer's:"
            f" {PRE_ACTIVATIONS}. Dead in the sense of ReLU, whatever nonlinearity follows; {_LAST}."
        ),
        reference="grokprobe",
        headline=True,
    ),
    VariableSpec(
        name="active_fraction",
        dims=(names.LAYER,),
        bounds=(0, 1),
        description=(
            "Pairs of unit and test sample with a positive pre-activation, as a share of all:"
            f" {PRE_ACTIVATIONS}; {_LAST}, and for a layer with a NaN."
        ),
        reference="grokprobe",
    ),
    VariableSpec(
        name="participation_ratio",
        dims=(names.LAYER,),
        bounds=(1, None),
        description=(
            f"(sum lambda)^2 / sum lambda^2 of the eigenvalues of the covariance of the {PRE_ACTIVATIONS}, between 1"
            f" and the rank; {_ROUNDING}; {_UNDEFINED}."
        ),
        reference="Gao et al., bioRxiv 214262 (2017)",
    ),
    VariableSpec(
        name="effective_rank",
        dims=(names.LAYER,),
        bounds=(1, None),
        description=(
            "exp(-sum p ln p) of the shares p = sigma / sum sigma of the singular values of the centred"
            f" {PRE_ACTIVATIONS}, between 1 and the rank; {_ROUNDING}; {_UNDEFINED}."
        ),
        reference="Roy and Vetterli, EUSIPCO 2007",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    activity: Activity
    #: None for too many units.
    gram: CrossProducts | None
    #: Relative rounding of the pre-activations.
    eps: float

    def merged(self, other: "_Layer") -> "_Layer":
        gram = self.gram.merged(other.gram) if self.gram and other.gram else None
        return _Layer(activity=self.activity.merged(other.activity), gram=gram, eps=self.eps)


class ActivationsProbe:
    """Counts dead units and the directions that the pre-activations of each layer vary in, over the test samples.

    A unit is one number of the output of a linear or convolution layer, before the nonlinearity and pooling; a
    convolution has one per channel, row and column. What follows a layer is not known: a unit counts as dead if a ReLU
    would give 0 on every test sample. Dimension: ``layer``, in the order of execution.
    """

    name = "activations"
    version = "1"
    requires = frozenset({Requirement.MODEL, Requirement.TEST_SPLIT})
    is_cheap = False
    options: type[BaseModel] = ActivationsOptions
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: ActivationsOptions) -> Applicability:  # noqa: ARG002 - none matters
        """Applies wherever its requirements are met."""
        return Applicability()

    def variables(self, options: ActivationsOptions) -> tuple[VariableSpec, ...]:  # noqa: ARG002 - always the same
        """Returns the specifications."""
        return ACTIVATIONS_VARIABLES

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint.

        Raises:
            UsageError: no linear or convolution layers, or a network that does not keep samples apart.
        """
        options: ActivationsOptions = context.options
        layers = _gather(context, options.max_units)
        ranks = [_rank(layer) for layer in layers.values()]
        rectified = [layer.activity for layer in layers.values()][:-1]
        values = {
            "dead_fraction": [*(activity.dead_fraction for activity in rectified), np.nan],
            "active_fraction": [*(activity.active_fraction for activity in rectified), np.nan],
            "participation_ratio": [rank.participation_ratio for rank in ranks],
            "effective_rank": [rank.entropy_rank for rank in ranks],
        }
        return Measurement(
            values={name: np.array(numbers) for name, numbers in values.items()},
            coordinates={names.LAYER: layer_coordinate(list(layers))},
        )


@torch.inference_mode()
def _gather(context: Context, max_units: int) -> dict[str, _Layer]:
    layers: dict[str, _Layer] = {}
    for batch in iterate_layer_outputs(context, [context.parameters]):
        for label, (units,) in batch.items():
            layer = _Layer(
                activity=compute_activity(units),
                gram=compute_cross_products(units, units) if units.shape[1] <= max_units else None,
                eps=torch.finfo(units.dtype).eps,
            )
            layers[label] = layers[label].merged(layer) if label in layers else layer
    return layers


def _rank(layer: _Layer) -> EffectiveRank:
    if layer.gram is None:
        return EffectiveRank(participation_ratio=np.nan, entropy_rank=np.nan)
    return compute_effective_rank(layer.gram.products, layer.eps * layer.gram.scale)
