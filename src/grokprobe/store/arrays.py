"""Single zarr arrays: how each is stored, whatever it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.dtypes import StringDType
from zarr.codecs import ZstdCodec
from zarr.core.metadata import ArrayV3Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayLayout:
    """Everything an array is created with."""

    #: Lengths, chunk lengths and names of its dimensions.
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dims: tuple[str, ...]
    #: Zarr's name of its type.
    dtype: str
    #: What a reader sees where nothing was written.
    fill: Any
    #: Its attributes; those that are empty are left out.
    attributes: Mapping[str, Any]


def create_array(root: Path, path: str, layout: ArrayLayout) -> None:
    """Creates an array, unless it exists. Every chunk carries a checksum; an empty chunk is written like any other."""
    if (root / path / "zarr.json").exists():
        return
    zarr.create_array(
        root,
        name=path,
        shape=layout.shape,
        chunks=layout.chunks,
        dtype=layout.dtype,
        fill_value=layout.fill,
        compressors=[ZstdCodec(level=1, checksum=True)],
        dimension_names=layout.dims,
        attributes={key: value for key, value in layout.attributes.items() if value != ""},
        config={"write_empty_chunks": True},
    )


def open_array(root: Path, path: str) -> zarr.Array:
    """Opens an array for reading and writing; as for :func:`create_array`, an empty chunk is written."""
    return zarr.open_array(root, path=path, mode="r+").with_config({"write_empty_chunks": True})


def dimensions(array: zarr.Array) -> tuple[str | None, ...]:
    """Returns the names of an array's dimensions."""
    return cast("ArrayV3Metadata", array.metadata).dimension_names or ()


def as_storable(values: np.ndarray) -> np.ndarray:
    """Returns ``values``, strings as strings of variable length, which is what zarr v3 has a type for."""
    values = np.asarray(values)
    return values.astype(StringDType()) if values.dtype.kind in "UOT" else values


def type_name(values: np.ndarray) -> str:
    """Returns zarr's name for the type of ``values``."""
    return "string" if isinstance(values.dtype, StringDType) else values.dtype.name
