"""The ``weights`` probe: size, inequality and effective rank of every weight tensor."""

from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from grokprobe import names
from grokprobe.interfaces import Applicability, Context, Requirement, Subject
from grokprobe.numerics.inequality import compute_gini
from grokprobe.numerics.layers import as_matrix, layer_label
from grokprobe.numerics.matrices import compute_matrix_size
from grokprobe.variables import Coordinate, Measurement, VariableSpec


class WeightsOptions(BaseModel):
    """Options of the ``weights`` probe: none."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


WEIGHTS_VARIABLES: Final = (
    VariableSpec(
        name="norm",
        dims=(names.LAYER,),
        units="weight",
        bounds=(0, None),
        description="Frobenius norm sqrt(sum w^2) of the layer's weights, biases not included.",
        reference="grokprobe",
    ),
    VariableSpec(
        name="gini",
        dims=(names.LAYER,),
        bounds=(0, 1),
        description=(
            "Gini coefficient of the magnitudes |w|, sum_ij ||w_i| - |w_j|| / (2 n^2 mean |w|) over all n^2 ordered"
            " pairs, biases not included; NaN if all are zero."
        ),
        reference="arXiv 2502.01739, appendix",
    ),
    VariableSpec(
        name="stable_rank",
        dims=(names.LAYER,),
        bounds=(1, None),
        description=(
            "Squared Frobenius norm over squared largest singular value of the weights as a matrix (out, everything"
            " else); at most the rank; NaN if all are zero."
        ),
        reference="Rudelson and Vershynin, J. ACM 54 (2007)",
    ),
    VariableSpec(
        name="spectral_norm",
        dims=(names.LAYER,),
        units="weight",
        bounds=(0, None),
        description="Largest singular value of the weights as a matrix (out, everything else).",
        reference="grokprobe",
    ),
)


class WeightsProbe:
    """Measures every floating-point tensor with at least two axes that changes along the run.

    Biases and other vectors are not included. The kernel of a convolution is the matrix (out, in · height · width).
    A layer with a weight that is not finite has NaN throughout.
    """

    name = "weights"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS})
    is_cheap = True
    options: type[BaseModel] = WeightsOptions

    def applies(self, subject: Subject, options: WeightsOptions) -> Applicability:  # noqa: ARG002 - there are none
        """Says whether there is a weight tensor, and which tensors are left out because they never change."""
        constant = [name for name in _matrices(subject) if name in subject.constant]
        notices = tuple(f"{name} is left out: constant along the run, so not a weight" for name in constant)
        if _weights(subject):
            return Applicability(notices=notices)
        return Applicability(reason="; ".join(["no weight has two or more axes", *notices]))

    def variables(self, options: WeightsOptions) -> tuple[VariableSpec, ...]:  # noqa: ARG002 - there are none
        """Returns the specifications."""
        return WEIGHTS_VARIABLES

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint."""
        weights = _weights(context.subject)
        rows: list[dict[str, float]] = []
        for name in weights:
            matrix = as_matrix(context.parameters[name])
            size = compute_matrix_size(matrix)
            rows.append(
                {
                    "norm": size.norm,
                    "gini": compute_gini(matrix.abs()).item(),
                    "stable_rank": size.stable_rank,
                    "spectral_norm": size.spectral_norm,
                }
            )
        values: dict[str, Any] = {spec.name: np.array([row[spec.name] for row in rows]) for spec in WEIGHTS_VARIABLES}
        labels = np.array([layer_label(name, context.subject.shapes) for name in weights])
        layer = Coordinate(dim=names.LAYER, values=labels, description="weight tensor")
        return Measurement(values=values, coordinates={names.LAYER: layer})


def _matrices(subject: Subject) -> list[str]:
    return [name for name, shape in subject.shapes.items() if len(shape) >= 2]


def _weights(subject: Subject) -> list[str]:
    return [name for name in _matrices(subject) if name not in subject.constant]
