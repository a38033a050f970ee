"""Named, checked variables: what a measure may put into the dataset.

Every stored variable has a :class:`VariableSpec`. The specification is written into the attributes of the stored
array, the reference page of the documentation is generated from it, and a value that contradicts it raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from grokprobe.errors import VariableError

#: A value outside its mathematical range by at most this much is rounding and is clipped; further outside it raises.
BOUND_TOLERANCE: Final = 1e-12

DtypeName = Literal["float64", "float32", "int64"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableSpec:
    """The specification of one variable of a measure."""

    #: Name in the dataset.
    name: str
    #: Dimensions beyond the leading ``(seed, init_scale, epoch)``, in stored order.
    dims: tuple[str, ...] = ()
    #: Stored type. Floating types can hold NaN (undefined); an integer type cannot.
    dtype: DtypeName = "float64"
    #: Units, ``"1"`` for a pure number.
    units: str = "1"
    #: Closed mathematical range ``(lowest, highest)``; ``None`` is unbounded. NaN is always allowed.
    bounds: tuple[float | None, float | None] = (None, None)
    #: One sentence of definition with every convention that changes the number.
    description: str
    #: Where the definition comes from: paper and equation, or ``"grokprobe"``.
    reference: str
    #: Whether tables of results show it.
    headline: bool = False

    def checked(self, values: np.ndarray, sizes: Mapping[str, int]) -> np.ndarray:
        """Returns ``values`` in the stored type, clipped by at most :data:`BOUND_TOLERANCE` into the bounds.

        Args:
            values: what a measure returned for one checkpoint.
            sizes: the length of each of the measure's own dimensions.

        Raises:
            VariableError: wrong number or length of dimensions, a type that would lose information (complex to real,
                floating to integer), or a value outside the bounds.
        """
        values = np.asarray(values)
        expected = tuple(sizes[dim] for dim in self.dims)
        if values.shape != expected:
            raise VariableError(
                f"variable {self.name!r}: expected dimensions {self._named(expected)}, found shape {values.shape}"
            )
        if not np.can_cast(values.dtype, self.dtype, casting="same_kind"):
            raise VariableError(f"variable {self.name!r}: expected {self.dtype}, found {values.dtype}")
        with np.errstate(over="ignore", invalid="ignore"):
            stored = values.astype(self.dtype)
        if not np.array_equal(np.isfinite(stored), np.isfinite(values)) or (
            stored.dtype.kind == "i" and not np.array_equal(stored, values)
        ):
            raise VariableError(
                f"variable {self.name!r}: expected values that {self.dtype} can hold, found {values.max()!r}"
            )
        return self._within_bounds(stored)

    def attributes(self) -> dict[str, Any]:
        """Returns the attributes of the stored array."""
        attributes: dict[str, Any] = {
            "units": self.units,
            "long_name": self.name.replace("_", " "),
            "description": self.description,
            "reference": self.reference,
        }
        limits = zip(("valid_min", "valid_max"), self.bounds, strict=True)
        attributes |= {key: bound for key, bound in limits if bound is not None}
        if self.headline:
            attributes["headline"] = 1
        return attributes

    def _named(self, lengths: tuple[int, ...]) -> str:
        return "(" + ", ".join(f"{dim}: {length}" for dim, length in zip(self.dims, lengths, strict=True)) + ")"

    def _within_bounds(self, values: np.ndarray) -> np.ndarray:
        lowest = -np.inf if self.bounds[0] is None else self.bounds[0]
        highest = np.inf if self.bounds[1] is None else self.bounds[1]
        outside = (values < lowest - BOUND_TOLERANCE) | (values > highest + BOUND_TOLERANCE)
        if outside.any():
            worst = values[outside][0]
            raise VariableError(
                f"variable {self.name!r}: expected values in [{lowest:g}, {highest:g}], found {worst!r}"
                f" at {np.argwhere(outside)[0].tolist()} ({int(outside.sum())} in all)"
            )
        if values.dtype.kind == "f":
            return np.clip(values, lowest, highest)  # NaN passes through
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinate:
    """Labels along one of a measure's own dimensions."""

    #: The dimension the labels belong to. A coordinate named like its dimension is an index.
    dim: str
    #: One label per position: integers, floats or strings.
    values: np.ndarray
    #: Units of the labels.
    units: str = "1"
    #: One sentence of definition.
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one measure says about one checkpoint."""

    #: One array per :class:`VariableSpec` of the measure, over the specification's dimensions.
    values: Mapping[str, np.ndarray]
    #: The labels of the measure's own dimensions; equal for every checkpoint of an experiment.
    coordinates: Mapping[str, Coordinate]


def check_measurement(specs: tuple[VariableSpec, ...], measurement: Measurement) -> dict[str, np.ndarray]:
    """Returns the values of ``measurement`` checked against ``specs``, in the order of the specifications.

    Raises:
        VariableError: a variable is missing or unknown, a dimension has no coordinate, coordinates of one dimension
            differ in length, or a value contradicts its specification.
    """
    expected, found = {spec.name for spec in specs}, set(measurement.values)
    if expected != found:
        raise VariableError(
            f"expected the variables {sorted(expected)}, found {sorted(found)}:"
            f" missing {sorted(expected - found)}, unknown {sorted(found - expected)}"
        )
    sizes = _sizes(measurement.coordinates)
    unlabelled = {dim for spec in specs for dim in spec.dims} - set(sizes)
    if unlabelled:
        raise VariableError(f"dimensions {sorted(unlabelled)} have no coordinate; give each one labels")
    return {spec.name: spec.checked(measurement.values[spec.name], sizes) for spec in specs}


def _sizes(coordinates: Mapping[str, Coordinate]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, coordinate in coordinates.items():
        length = len(coordinate.values)
        if sizes.setdefault(coordinate.dim, length) != length:
            raise VariableError(
                f"coordinate {name!r}: expected {sizes[coordinate.dim]} labels along {coordinate.dim!r}, found {length}"
            )
    return sizes
