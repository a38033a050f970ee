"""The laws of a Probe."""

from typing import Any

import numpy as np

from grokprobe.errors import VariableError
from grokprobe.interfaces import Probe
from grokprobe.testing.conformance import ConformanceError, require
from grokprobe.testing.context import FixedContext
from grokprobe.testing.measures import bind_measure
from grokprobe.testing.mutation import Snapshot
from grokprobe.variables import Coordinate, Measurement, check_measurement


def check_probe(probe: Probe, context: FixedContext, options: Any = None) -> Measurement:
    """Checks ``probe`` against the laws of :class:`grokprobe.interfaces.Probe`.

    The values agree with their specifications; the context is not modified; the same context gives an equal result;
    another checkpoint of the run gives equal coordinates; nothing is used that is not required.

    Args:
        probe: the probe.
        context: a context it applies to.
        options: its options; None for those of ``context``, or the defaults.

    Returns:
        What it measured, for further assertions.

    Raises:
        ConformanceError: a law is broken.
    """
    bound = bind_measure(probe, context, options)
    _check_variables(probe, bound)
    snapshot = Snapshot(bound)
    measurement = probe.measure(bound)
    snapshot.require_unchanged()
    _check_specifications(probe, bound, measurement)
    again = probe.measure(bound)
    require(
        all(np.array_equal(value, again.values[name], equal_nan=True) for name, value in measurement.values.items()),
        "same context, options and generator seed give an equal result",
        "two calls differ",
    )
    other = probe.measure(bound.at_other_parameters())
    for found in (again, other):
        require(
            _equal_coordinates(measurement, found),
            "coordinates depend on subject and options alone",
            "another checkpoint has others",
        )
    return measurement


def _check_variables(probe: Probe, context: FixedContext) -> None:
    specs = probe.variables(context.options)
    listed = [spec.name for spec in specs]
    require(bool(specs), "a probe measures at least one variable")
    require(len(set(listed)) == len(listed), "variables have different names", ", ".join(listed))
    require(specs == probe.variables(context.options), "variables depend on the options alone", "two calls differ")
    undocumented = [spec.name for spec in specs if not (spec.description.strip() and spec.reference.strip())]
    require(not undocumented, "every variable has a description and a reference", ", ".join(undocumented))


def _check_specifications(probe: Probe, context: FixedContext, measurement: Measurement) -> None:
    try:
        check_measurement(probe.variables(context.options), measurement)
    except VariableError as error:
        raise ConformanceError(f"values agree with their specifications: {error}") from error


def _equal_coordinates(one: Measurement, other: Measurement) -> bool:
    return one.coordinates.keys() == other.coordinates.keys() and all(
        _equal(coordinate, other.coordinates[name]) for name, coordinate in one.coordinates.items()
    )


def _equal(one: Coordinate, other: Coordinate) -> bool:
    same_meaning = (one.dim, one.units, one.description) == (other.dim, other.units, other.description)
    return same_meaning and np.array_equal(one.values, other.values)
