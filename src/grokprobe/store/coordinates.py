"""How the leading coordinates of a group are stored, and the steps beside its epochs."""

from typing import Final

import numpy as np

from grokprobe import names
from grokprobe.store.arrays import ArrayLayout, as_storable, type_name
from grokprobe.variables import Coordinate

#: Marks a position of a leading coordinate whose value a killed process did not get to write.
UNASSIGNED: Final = np.iinfo(np.int64).min
#: Stored where a checkpoint does not say its optimizer steps.
UNKNOWN_STEP: Final = -1
#: Coordinates fit one chunk, so that writing them is one atomic rename.
COORDINATE_CHUNK: Final = 65536
DTYPES: Final = {names.SEED: "int64", names.INIT_SCALE: "float64", names.EPOCH: "int64"}
DESCRIPTIONS: Final = {
    names.SEED: "seed of data, initialisation and order",
    names.INIT_SCALE: "factor on every initial parameter",
    names.EPOCH: "completed epochs or steps; 0 is the initialisation",
}


def leading_layout(dim: str, epoch_units: str) -> ArrayLayout:
    """Returns the layout of an empty leading coordinate.

    Args:
        dim: its dimension.
        epoch_units: ``epochs`` or ``steps``.
    """
    return ArrayLayout(
        shape=(0,),
        chunks=(COORDINATE_CHUNK,),
        dims=(dim,),
        dtype=DTYPES[dim],
        fill=np.nan if dim == names.INIT_SCALE else UNASSIGNED,
        attributes={"description": DESCRIPTIONS[dim], "units": epoch_units if dim == names.EPOCH else "1"},
    )


def label_layout(coordinate: Coordinate) -> ArrayLayout:
    """Returns the layout of a measure's own coordinate, which is one chunk."""
    values = as_storable(coordinate.values)
    return ArrayLayout(
        shape=values.shape,
        chunks=(max(1, len(values)),),
        dims=(coordinate.dim,),
        dtype=type_name(values),
        fill={"U": "", "T": "", "f": np.nan}.get(values.dtype.kind, 0),
        attributes={"units": coordinate.units, "description": coordinate.description},
    )


def step_layout(num_epochs: int) -> ArrayLayout:
    """Returns the layout of the coordinate ``step(epoch)``."""
    return ArrayLayout(
        shape=(num_epochs,),
        chunks=(COORDINATE_CHUNK,),
        dims=(names.EPOCH,),
        dtype="int64",
        fill=UNKNOWN_STEP,
        attributes={"description": "optimizer steps, -1 where unknown", "units": "steps"},
    )
