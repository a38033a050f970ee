"""Derived variables with their definitions attached."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import xarray as xr

from grokprobe.variables import VariableSpec


def assemble_derived(
    variables: Mapping[str, xr.DataArray], specs: Iterable[VariableSpec], units: str | None = None
) -> xr.Dataset:
    """Returns a Dataset whose variables carry the attributes of their specifications.

    Args:
        variables: one for each specification, by name.
        specs: what the variables are; those in ``epochs`` are in ``units``.
        units: what an epoch of the data is, as in the attributes of what was derived from; None for ``epochs``.
    """
    described = {}
    for spec in specs:
        in_units = replace(spec, units=units) if units and spec.units == "epochs" else spec
        described[spec.name] = variables[spec.name].assign_attrs(in_units.attributes())
    return xr.Dataset(described)
