"""Single zarr arrays: how each is stored, whatever it holds."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import zarr
from numpy.dtypes import StringDType
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.metadata import ArrayV3Metadata

from grokprobe.errors import DamagedStoreError

#: How chunks are encoded. The checksum of zstd is over the values, so that damage never gives a number; the last one is
#: over every stored bit, also the two of zstd's header that change nothing.
CODECS: Final = (ZstdCodec(level=1, checksum=True), Crc32cCodec())
#: What the codecs raise where a chunk is not what was written.
DECODING_ERRORS: Final = (RuntimeError, ValueError)


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
    """Creates an array, unless it exists. Every chunk carries checksums; an empty chunk is written like any other."""
    if (root / path / "zarr.json").exists():
        return
    zarr.create_array(
        root,
        name=path,
        shape=layout.shape,
        chunks=layout.chunks,
        dtype=layout.dtype,
        fill_value=layout.fill,
        compressors=CODECS,
        dimension_names=layout.dims,
        attributes={key: value for key, value in layout.attributes.items() if value != ""},
        config={"write_empty_chunks": True},
    )


def open_array(root: Path, path: str) -> zarr.Array:
    """Opens an array for reading and writing; as for :func:`create_array`, an empty chunk is written."""
    with reporting_damage(root, f"metadata of {path}"):
        return zarr.open_array(root, path=path, mode="r+").with_config({"write_empty_chunks": True})


def read_array(root: Path, array: zarr.Array, where: Any = ...) -> np.ndarray:
    """Returns a part of an array of the store at ``root``.

    Raises:
        DamagedStoreError: one of its chunks cannot be decoded.
    """
    with reporting_damage(root, array.path):
        return np.asarray(array[where])


@contextlib.contextmanager
def reporting_damage(root: Path, path: str) -> Iterator[None]:
    """Turns what the codecs raise into an error that names the store and what of it was read.

    Raises:
        DamagedStoreError: a chunk cannot be decoded.
    """
    try:
        yield
    except DECODING_ERRORS as error:
        raise damaged(root, path, f"it cannot be decoded: {error}") from error


def damaged(root: Path, path: str, reason: str) -> DamagedStoreError:
    """Returns what is raised where something of the store at ``root`` is not what was written."""
    advice = f"grokprobe verify {root} says what is damaged and how to mend it"
    return DamagedStoreError(f"{root}: {path}: {reason}; {advice}")


def chunk_file(root: Path, array: zarr.Array, place: tuple[int, ...]) -> Path:
    """Returns the file of the chunk at ``place`` along the first dimensions; the others have one chunk each."""
    key = cast("ArrayV3Metadata", array.metadata).encode_chunk_key(place + (0,) * (array.ndim - len(place)))
    return root / array.path / key


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
