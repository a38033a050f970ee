"""What the ``similarity`` probes share: how alike the layers of two checkpoints are."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from grokprobe import names
from grokprobe.interfaces import Context, Parameters
from grokprobe.numerics.cross_products import CrossProducts, compute_cross_products
from grokprobe.numerics.similarity import Similarity, compute_similarity
from grokprobe.probes.layer_outputs import PRE_ACTIVATIONS, iterate_layer_outputs, layer_coordinate
from grokprobe.variables import Coordinate, Measurement, VariableSpec


class SimilarityOptions(BaseModel):
    """Options of the ``similarity`` probes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: A layer with more units has no similarity: it needs float64 matrices of its units squared.
    max_units: int = Field(default=2048, ge=1)


_UNDEFINED: Final = (
    "NaN where there is no such checkpoint, where a representation does not vary (deviations at most four roundings of"
    " its size) or is not finite, and for a layer with more than max_units units"
)

SIMILARITY_VARIABLES: Final = (
    VariableSpec(
        name="cka",
        dims=(names.LAYER, names.OTHER),
        bounds=(0, 1),
        description=(
            "Linear centred kernel alignment |X'Y|_F^2 / (|X'X|_F |Y'Y|_F) of this checkpoint X and the other Y, with"
            f" centred {PRE_ACTIVATIONS}; {_UNDEFINED}."
        ),
        reference="arXiv 1905.00414, Eq. 5",
        headline=True,
    ),
    VariableSpec(
        name="procrustes",
        dims=(names.LAYER, names.OTHER),
        bounds=(0, 1),
        description=(
            "Orthogonal Procrustes similarity |X'Y|_* / (|X|_F |Y|_F), nuclear norm, of this checkpoint X and the other"
            f" Y, with centred {PRE_ACTIVATIONS}; {_UNDEFINED}."
        ),
        reference="arXiv 2108.01661, section 3",
    ),
)


class _Pair:
    """Products of one layer at this checkpoint and at the others, over samples that come in batches."""

    def __init__(self) -> None:
        self._own: dict[int, CrossProducts] = {}
        self._cross: dict[int, CrossProducts] = {}
        self._eps = 0.0

    def add(self, outputs: tuple[torch.Tensor, ...]) -> None:
        """Counts a batch; the first of ``outputs`` is of this checkpoint."""
        self._eps = torch.finfo(outputs[0].dtype).eps
        for place, other in enumerate(outputs):
            _merge(self._own, place, compute_cross_products(other, other))
            if place:
                _merge(self._cross, place, compute_cross_products(outputs[0], other))

    def result(self, place: int) -> Similarity:
        """Returns the similarity of this checkpoint and the other at ``place``, from 1 on."""
        if place not in self._cross:
            return Similarity(cka=np.nan, procrustes=np.nan)
        return compute_similarity(self._own[0], self._own[place], self._cross[place], eps=self._eps)


def _merge(products: dict[int, CrossProducts], place: int, batch: CrossProducts) -> None:
    products[place] = products[place].merged(batch) if place in products else batch


@torch.inference_mode()
def measure_similarity(context: Context, others: Mapping[str, Parameters | None]) -> Measurement:
    """Compares every layer of this checkpoint with that of others.

    Args:
        context: of this checkpoint.
        others: the other checkpoints by name; None where there is none.

    Raises:
        UsageError: no linear or convolution layers, or a network that does not keep samples apart.
    """
    options: SimilarityOptions = context.options
    present = {name: parameters for name, parameters in others.items() if parameters is not None}
    layers: dict[str, _Pair] = {}
    for batch in iterate_layer_outputs(context, [context.parameters, *present.values()]):
        for label, outputs in batch.items():
            pair = layers.setdefault(label, _Pair())
            if outputs[0].shape[1] <= options.max_units:
                pair.add(outputs)
    places = {name: place for place, name in enumerate(present, start=1)}
    rows = [[pair.result(places.get(name, 0)) for name in others] for pair in layers.values()]
    return Measurement(
        values={
            "cka": np.array([[similarity.cka for similarity in row] for row in rows]),
            "procrustes": np.array([[similarity.procrustes for similarity in row] for row in rows]),
        },
        coordinates={
            names.LAYER: layer_coordinate(list(layers)),
            names.OTHER: Coordinate(
                dim=names.OTHER, values=np.array(list(others)), description="checkpoint that is compared with"
            ),
        },
    )
