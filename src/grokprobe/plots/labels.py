"""Words of figures: names and units from attributes, scales as people write them."""

from collections.abc import Hashable, Mapping
from typing import Any, Final

import xarray as xr
from matplotlib.axes import Axes

from grokprobe import names

#: Units of pure numbers, which no axis repeats.
_PURE: Final = frozenset({"", "1"})
#: Letters along the axis of values.
_LINE: Final = 24
#: What a panel without any value says.
NOTHING_DEFINED: Final = "no value is defined here"


def axis_label(variable: xr.DataArray) -> str:
    """Returns the name of a variable with its units: ``test loss (nat)``."""
    name = str(variable.attrs.get("long_name") or variable.name or "value").replace("_", " ")
    return with_units(name, variable.attrs)


def value_label(variable: xr.DataArray) -> str:
    """Returns the same for the axis of values, its units on a line of their own where both are long."""
    label = axis_label(variable)
    return label if len(label) <= _LINE else label.replace(" (", "\n(", 1)


def coordinate_label(dataset: xr.Dataset | xr.DataArray, dim: str) -> str:
    """Returns the name of a dimension with the units of its labels: ``epoch``, ``step`` where epochs are steps."""
    attributes = dataset[dim].attrs if dim in dataset.coords else {}
    units = str(attributes.get("units", ""))
    if dim == names.EPOCH:
        return units.removesuffix("s") if units.endswith("s") else units or dim
    return with_units(dim.replace("_", " "), attributes)


def with_units(name: str, attributes: Mapping[Hashable, Any] | Mapping[str, Any]) -> str:
    """Returns ``name (units)``, or the name alone for a pure number."""
    units = str(attributes.get("units", ""))
    return name if units in _PURE else f"{name} ({units})"


def scale_label(init_scale: float) -> str:
    """Returns an init_scale as short as it is exact: ``0.1``, ``10``."""
    return f"{init_scale:.10g}"


def say_nothing_defined(ax: Axes) -> None:
    """Writes into an empty panel that it is empty for want of defined values, not for want of drawing."""
    ax.text(0.5, 0.5, NOTHING_DEFINED, transform=ax.transAxes, ha="center", va="center", color="#666666", fontsize=8)
