"""The ``kurtosis`` probe: how heavy the tails of each layer's weights are."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from grokprobe import names
from grokprobe.interfaces import Applicability, Context, Requirement, Subject
from grokprobe.variables import Coordinate, Measurement, VariableSpec

#: What the probe stores. Values outside the bounds are refused.
KURTOSIS: Final = VariableSpec(
    name="kurtosis",
    dims=(names.LAYER,),
    bounds=(1, None),
    description=(
        "Fourth central moment of the layer's weights over the squared second, means over all weights, 3 for a normal"
        " distribution; NaN if all weights are equal."
    ),
    reference="Pearson, Biometrika 4 (1905)",
)


def compute_kurtosis(values: torch.Tensor) -> float:
    """Returns the kurtosis m₄ / m₂² of ``values``, where m_k is the mean of (v − mean v)^k.

    It is at least 1, does not change under scaling or shifting, and is NaN where all values are equal.

    Args:
        values: any shape; computed in float64.

    Example:
        >>> assert compute_kurtosis(torch.tensor([-1.0, 1.0])) == 1.0
    """
    deviations = values.detach().to(torch.float64)
    deviations = deviations - deviations.mean()
    squares = deviations.square()
    return (squares.square().mean() / squares.mean().square()).item()


class KurtosisOptions(BaseModel):
    """Options of the ``kurtosis`` probe, each with a default."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Whether vectors, such as biases, count as layers too.
    biases: bool = False


class KurtosisProbe:
    """Measures every weight tensor that changes along the run."""

    name = "kurtosis"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS})
    is_cheap = True
    options: type[BaseModel] = KurtosisOptions
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: KurtosisOptions) -> Applicability:
        """Says whether there is a weight tensor."""
        return Applicability(reason="" if _select(subject, options) else "no tensor is a weight")

    def variables(self, options: KurtosisOptions) -> tuple[VariableSpec, ...]:  # noqa: ARG002 - the same for all
        """Returns the specification of the one variable."""
        return (KURTOSIS,)

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint."""
        layers = _select(context.subject, context.options)
        kurtosis = np.array([compute_kurtosis(context.parameters[name]) for name in layers])
        labels = Coordinate(dim=names.LAYER, values=np.array(layers), description="name of the tensor")
        return Measurement(values={"kurtosis": kurtosis}, coordinates={names.LAYER: labels})


def _select(subject: Subject, options: KurtosisOptions) -> list[str]:
    least = 1 if options.biases else 2
    return [name for name, shape in subject.shapes.items() if len(shape) >= least and name not in subject.constant]
