"""Numbers of one run, each with the definition it was stored with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.plots.results import ExperimentResults
from grokprobe.status import Status

Run = tuple[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One number and what it means."""

    #: Where it is: ``probes/fourier/ipr_mean[input_a]``.
    place: str
    #: The number; NaN where it is undefined.
    value: float
    #: Its units, empty for a pure number.
    units: str
    #: The epoch it belongs to; None for a number of the whole run.
    epoch: int | None
    #: Definition with every convention, as stored.
    definition: str
    #: Where the definition comes from.
    reference: str


def read_curve(
    group: xr.Dataset, variable: str, run: Run, select: Mapping[str, Any] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns epochs and values of one run, those at which a value is defined; it may be infinite."""
    if variable not in group.variables or not _has_run(group, run):
        return np.empty(0, dtype=np.int64), np.empty(0)
    values = _read_run(group, variable, run, select or {})
    known = ~np.isnan(values)
    return group.variables[names.EPOCH].values[known], values[known]


def read_number(group: xr.Dataset | None, variable: str, run: Run) -> float:
    """Returns one number of a whole run; NaN where it is undefined or not there."""
    if group is None or variable not in group.variables or not _has_run(group, run):
        return float("nan")
    return float(_read_run(group, variable, run, {}))


def _read_run(group: xr.Dataset, variable: str, run: Run, select: Mapping[str, Any]) -> np.ndarray:
    """Returns the values of one run; NaN where it was not measured.

    By places in arrays and not by labels, which would take most of the time of a page with a hundred runs.
    """
    labels = {names.SEED: run[0], names.INIT_SCALE: run[1], **select}
    places = {dim: group.indexes[dim].get_loc(label) for dim, label in labels.items()}
    values, status = (
        np.asarray(found.values)[tuple(places.get(str(dim), slice(None)) for dim in found.dims)]
        for found in (group.variables[variable], group.variables[names.STATUS])
    )
    return np.where(status == int(Status.OK), values.astype(np.float64), np.nan)


def find_evidence(
    results: ExperimentResults, place: str, run: Run, select: Mapping[str, Any] | None = None
) -> Evidence:
    """Returns the number of a run at a place, at the last epoch at which it is defined.

    Args:
        results: of the experiment.
        place: group and variable, ``summary/test_epoch``.
        run: seed and init_scale.
        select: labels along the variable's own dimensions.
    """
    path, _, variable = place.rpartition("/")
    group = results.groups[path]
    stored = group.variables[variable]
    if names.EPOCH in stored.dims:
        epochs, values = read_curve(group, variable, run, select)
        epoch, value = (int(epochs[-1]), float(values[-1])) if len(values) else (None, float("nan"))
    else:
        epoch, value = None, read_number(group, variable, run)
    attributes = stored.attrs
    units = str(attributes.get("units", ""))
    label = f"[{', '.join(map(str, select.values()))}]" if select else ""
    return Evidence(
        place=place + label,
        value=value,
        units="" if units == "1" else units,
        epoch=epoch,
        definition=str(attributes.get("description", "no definition was stored")),
        reference=str(attributes.get("reference", "")),
    )


def iterate_headlines(results: ExperimentResults, run: Run) -> Iterator[Evidence]:
    """Yields every headline number of a run, one for each layer where it has layers; undefined ones too."""
    for path, name, select in list_headlines(results):
        yield find_evidence(results, f"{path}/{name}", run, select)


def list_headlines(results: ExperimentResults) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yields group, variable and layer of every headline number; reads nothing."""
    for path, group in results.groups.items():
        for name, variable in group.data_vars.items():
            own = [dim for dim in variable.dims if dim not in names.LEADING_DIMS]
            if "headline" not in variable.attrs or not set(names.SUMMARY_DIMS) <= set(variable.dims):
                continue
            if not own:
                yield path, str(name), {}
            elif own == [names.LAYER]:
                for layer in variable[names.LAYER].to_numpy().tolist():
                    yield path, str(name), {names.LAYER: layer}


def _has_run(group: xr.Dataset, run: Run) -> bool:
    return run[0] in group.indexes[names.SEED] and run[1] in group.indexes[names.INIT_SCALE]
