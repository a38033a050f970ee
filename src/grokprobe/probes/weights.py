"""The ``weights`` probe: size, inequality and effective rank of every weight tensor."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from grokprobe import names
from grokprobe.interfaces import Applicability, Context, Parameters, Requirement, Subject
from grokprobe.numerics.inequality import compute_gini
from grokprobe.numerics.layers import as_matrix, layer_label
from grokprobe.numerics.matrices import MatrixSize, compute_matrix_size
from grokprobe.probes.weight_tensors import select_weights
from grokprobe.variables import Coordinate, Measurement, VariableSpec


class WeightsOptions(BaseModel):
    """Options of the ``weights`` probe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Whether to store all singular values of every layer.
    spectrum: bool = False


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

#: Stored on request.
SPECTRUM: Final = VariableSpec(
    name="spectrum",
    dims=(names.LAYER, names.RANK),
    units="weight",
    bounds=(0, None),
    description=(
        "Singular values of the weights as a matrix (out, everything else), from the largest on; a layer with fewer"
        " than others has NaN beyond its last."
    ),
    reference="grokprobe",
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
    variants: Mapping[str, Mapping[str, Any]] = {}

    def applies(self, subject: Subject, options: WeightsOptions) -> Applicability:  # noqa: ARG002 - none matters
        """Says whether there is a weight tensor, and which tensors are left out because they never change."""
        selection = select_weights(subject)
        return Applicability(reason=selection.reason, notices=selection.notices)

    def variables(self, options: WeightsOptions) -> tuple[VariableSpec, ...]:
        """Returns the specifications; ``spectrum`` on request."""
        return (*WEIGHTS_VARIABLES, SPECTRUM) if options.spectrum else WEIGHTS_VARIABLES

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint."""
        options: WeightsOptions = context.options
        weights = select_weights(context.subject).parameters
        measured = [_measure_layer(context.parameters, name, options) for name in weights]
        sizes = [size for size, _ in measured]
        values = {
            "norm": np.array([size.norm for size in sizes]),
            "gini": np.array([gini for _, gini in measured]),
            "stable_rank": np.array([size.stable_rank for size in sizes]),
            "spectral_norm": np.array([size.spectral_norm for size in sizes]),
        }
        labels = np.array([layer_label(name, context.subject.shapes) for name in weights])
        coordinates = {names.LAYER: Coordinate(dim=names.LAYER, values=labels, description="weight tensor")}
        if options.spectrum:
            spectra = [size.singular_values for size in sizes if size.singular_values is not None]
            padded = torch.nn.utils.rnn.pad_sequence(spectra, batch_first=True, padding_value=torch.nan)
            values["spectrum"] = padded.cpu().numpy()
            coordinates[names.RANK] = _rank_coordinate(padded.shape[1])
        return Measurement(values=values, coordinates=coordinates)


def _measure_layer(parameters: Parameters, name: str, options: WeightsOptions) -> tuple[MatrixSize, float]:
    """Returns size and Gini coefficient of one layer, which is in memory only meanwhile."""
    matrix = as_matrix(parameters[name])
    size = compute_matrix_size(matrix, needs_spectrum=options.spectrum)
    return size, compute_gini(matrix.abs()).item()


def _rank_coordinate(length: int) -> Coordinate:
    return Coordinate(
        dim=names.RANK, values=np.arange(1, length + 1), description="place in descending order, from 1 on"
    )
