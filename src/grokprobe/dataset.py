"""Measurement → checked, labelled Dataset."""

from collections.abc import Sequence

import xarray as xr

from grokprobe.variables import Measurement, VariableSpec, check_measurement


def assemble_dataset(specs: Sequence[VariableSpec], measurement: Measurement) -> xr.Dataset:
    """Returns the measurement of one checkpoint as a Dataset without leading dimensions.

    Raises:
        VariableError: a value contradicts its specification.
    """
    values = check_measurement(tuple(specs), measurement)
    return xr.Dataset(
        {spec.name: (spec.dims, values[spec.name], spec.attributes()) for spec in specs},
        coords={
            name: ((coordinate.dim,), coordinate.values, {"units": coordinate.units})
            for name, coordinate in measurement.coordinates.items()
        },
    )
