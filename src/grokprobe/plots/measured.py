"""Values to draw, with what was not measured told from what is undefined."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedCurves:
    """One quantity along one axis for every seed of one init_scale."""

    #: The init_scale; NaN where the runs have none.
    init_scale: float
    #: Places along the axis, in ascending order.
    x: np.ndarray
    #: (seed, x) values; NaN is a gap.
    values: np.ndarray
    #: (seed, x) whether there is a point at all. A line runs on over a place without one.
    is_point: np.ndarray

    @property
    def num_seeds(self) -> int:
        """Number of seeds that were measured."""
        return len(self.values)

    @property
    def is_defined(self) -> bool:
        """Whether there is any value to draw."""
        return bool(np.isfinite(self.values).any())


def select_values(
    dataset: xr.Dataset, variable: str, indexers: Mapping[str, Any] | None = None
) -> tuple[xr.DataArray, xr.DataArray]:
    """Returns a variable in memory, and the status of its coordinates.

    Args:
        dataset: a group of the results, of any form that has the variable: ``status`` is OK where it has none.
        variable: name of the variable.
        indexers: labels along its dimensions to select, as of ``xarray.DataArray.sel``.

    Returns:
        Values as floats, NaN where the status is not OK, and the status as integers, both sorted.
    """
    chosen = select_labels(dataset[variable], indexers or {})
    leading = [dim for dim in names.LEADING_DIMS if dim in chosen.dims]
    values = chosen.load().astype(np.float64).sortby([dim for dim in leading if dim in chosen.indexes])
    if names.STATUS not in dataset:
        shape = xr.DataArray(np.full([values.sizes[d] for d in leading], int(Status.OK)), dims=leading)
        return values, shape
    status = dataset[names.STATUS]
    kept = {dim: label for dim, label in (indexers or {}).items() if dim in status.dims}
    status = select_labels(status, kept).load().sortby([dim for dim in leading if dim in chosen.indexes])
    return values.where(status == int(Status.OK)).assign_attrs(values.attrs), status.astype(np.int64)


def select_labels(array: xr.DataArray, indexers: Mapping[str, Any]) -> xr.DataArray:
    """Returns the part of an array at given labels, also along dimensions whose labels are no index."""
    for dim, label in indexers.items():
        if dim in array.indexes:
            array = array.sel({dim: label})
        elif dim in array.dims:
            array = array.isel({dim: label})
        else:  # a further coordinate along one dimension, such as the layer of each neuron
            (of,) = array[dim].dims
            array = array.isel({str(of): np.flatnonzero(array[dim].to_numpy() == label)})
    return array


def iterate_curves(values: xr.DataArray, status: xr.DataArray, along: str = names.EPOCH) -> Iterator[SeedCurves]:
    """Yields the curves of every init_scale that has a point, in ascending order of scales.

    Args:
        values: over ``seed``, ``init_scale`` and ``along``; either of the first two may be absent.
        status: as from :func:`select_values`; over ``along`` only where that is the epoch.
        along: the dimension along the axis.
    """
    for dim in names.SUMMARY_DIMS:
        if dim not in values.dims:
            values = values.expand_dims({dim: [np.nan if dim == names.INIT_SCALE else 0]}).drop_vars(dim)
            status = status.expand_dims(dim)
    values = values.transpose(names.INIT_SCALE, names.SEED, along)
    is_point = (status != int(Status.MISSING)).broadcast_like(values).transpose(names.INIT_SCALE, names.SEED, along)
    scales = values[names.INIT_SCALE].to_numpy() if names.INIT_SCALE in values.coords else np.full(1, np.nan)
    x = values[along].to_numpy()
    for place, scale in enumerate(scales.tolist()):
        of_scale = is_point.to_numpy()[place]
        if of_scale.any():
            has_points = of_scale.any(axis=1)
            yield SeedCurves(
                init_scale=scale, x=x, values=values.to_numpy()[place][has_points], is_point=of_scale[has_points]
            )


def at_epoch(
    dataset: xr.Dataset, variable: str, indexers: Mapping[str, Any] | None = None, epoch: int | None = None
) -> xr.DataArray:
    """Returns a variable at one epoch of every run: the last at which it was measured, unless one is given.

    Reads one epoch of each run, so that variables of neurons over many epochs need not fit into memory.

    Args:
        dataset: a group of the results.
        variable: name of the variable, over ``(seed, init_scale, epoch, …)``; without ``epoch`` it is returned whole.
        indexers: labels to select along other dimensions.
        epoch: of every run; NaN for a run that was not measured there.

    Returns:
        The values over ``(seed, init_scale, …)``. The coordinate ``at_epoch`` says the epoch of each run, -1 for none.
    """
    if names.EPOCH not in dataset[variable].dims:
        return select_values(dataset, variable, indexers)[0]
    epochs = _epochs_of_runs(dataset, variable, epoch)
    leading = (names.SEED, names.INIT_SCALE)
    template = select_labels(dataset[variable].isel(dict.fromkeys(names.LEADING_DIMS, 0)), indexers or {})
    template = template.drop_vars(names.LEADING_DIMS, errors="ignore")
    found = np.full([*(epochs.sizes[dim] for dim in leading), *template.shape], np.nan)
    for place in np.argwhere(epochs.to_numpy() >= 0):
        run = {dim: epochs[dim].to_numpy()[at] for dim, at in zip(leading, place, strict=True)}
        at = {**run, names.EPOCH: int(epochs.sel(run))}
        found[tuple(place)] = select_labels(dataset[variable].sel(at), indexers or {}).to_numpy()
    coordinates = {**{dim: epochs[dim] for dim in leading}, **template.coords, "at_epoch": epochs}
    return xr.DataArray(
        found, dims=[*leading, *template.dims], coords=coordinates, name=variable, attrs=dataset[variable].attrs
    )


def _epochs_of_runs(dataset: xr.Dataset, variable: str, epoch: int | None) -> xr.DataArray:
    """Returns for each run the given epoch, or else the last that was measured; -1 where it was not measured."""
    if names.STATUS in dataset:
        is_measured = dataset[names.STATUS].load() == int(Status.OK)
    else:
        is_measured = dataset[variable].isel({d: 0 for d in dataset[variable].dims if d not in names.LEADING_DIMS})
        is_measured = xr.ones_like(is_measured, dtype=bool)
    epochs = is_measured[names.EPOCH]
    if epoch is not None:
        is_measured = is_measured & (epochs == epoch)
    last = xr.where(is_measured, epochs, -1).max(names.EPOCH).astype(np.int64)
    return last.sortby(list(names.SUMMARY_DIMS)).transpose(*names.SUMMARY_DIMS)
