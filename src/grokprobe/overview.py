"""What a results store holds, in a few rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from grokprobe import names
from grokprobe.derive import SUMMARY_SPECS
from grokprobe.status import Status
from grokprobe.store import open_results


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOverview:
    """One group of measured variables."""

    #: Path in the store.
    path: str
    #: Number of seeds, scales and epochs.
    shape: tuple[int, int, int]
    #: Number of coordinates by status.
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentOverview:
    """One experiment: its groups, and one row of headline values per run."""

    #: Name in the store.
    name: str
    #: Its groups.
    groups: tuple[GroupOverview, ...]
    #: Names of the columns after ``seed`` and ``init_scale``.
    columns: tuple[str, ...]
    #: (seed, init_scale) → value of each column; NaN where undefined or not measured.
    rows: dict[tuple[int, float], tuple[float, ...]]


def describe_results(path: Path) -> list[ExperimentOverview]:
    """Reads a results store and returns what it holds by experiment, headline values at the last epoch measured."""
    tree = open_results(path)
    return [_describe(tree.children[name]) for name in sorted(tree.children)]


def _describe(node: xr.DataTree) -> ExperimentOverview:
    datasets = {child.path.strip("/"): child.to_dataset(inherit=False) for child in node.subtree if child.has_data}
    columns: dict[str, xr.DataArray] = {}
    for path in sorted(datasets, key=lambda path: (not path.endswith(names.SUMMARY), path)):
        group = path.rpartition("/")[2]
        prefix = "" if group == names.SUMMARY else f"{group}/"
        columns |= {prefix + name: column for name, column in _headlines(datasets[path])}
    runs = _runs(datasets.values())
    return ExperimentOverview(
        name=node.name or "",
        groups=tuple(
            _group(path, dataset) for path, dataset in sorted(datasets.items()) if names.EPOCH in dataset.dims
        ),
        columns=tuple(columns),
        rows={run: tuple(_value(column, run) for column in columns.values()) for run in runs},
    )


def _headlines(dataset: xr.Dataset) -> Iterator[tuple[str, xr.DataArray]]:
    """Yields headline variables over ``(seed, init_scale)``, one per layer, at the last epoch that was measured."""
    order = [spec.name for spec in SUMMARY_SPECS]
    headlines = [name for name, variable in dataset.data_vars.items() if "headline" in variable.attrs]
    for name in sorted(map(str, headlines), key=lambda name: (order.index(name) if name in order else -1, name)):
        variable = dataset[name]
        if names.EPOCH in variable.dims:
            variable = _at_last_epoch(variable, dataset[names.STATUS])
        extra = set(variable.dims) - set(names.SUMMARY_DIMS)
        if extra == {names.LAYER}:
            for layer in variable[names.LAYER].to_numpy().tolist():
                yield f"{name}[{layer}]", variable.sel({names.LAYER: layer})
        elif not extra:  # anything larger is no headline of one row
            yield name, variable


def _at_last_epoch(variable: xr.DataArray, status: xr.DataArray) -> xr.DataArray:
    """Returns the value at each run's last epoch with a result; NaN for a run without any."""
    is_measured = (status == int(Status.OK)).sortby(names.EPOCH)
    num_epochs = is_measured.sizes[names.EPOCH]
    last = num_epochs - 1 - is_measured.isel({names.EPOCH: slice(None, None, -1)}).argmax(names.EPOCH)
    values = variable.sortby(names.EPOCH).load().isel({names.EPOCH: last})
    return values.where(is_measured.any(names.EPOCH))


def _group(path: str, dataset: xr.Dataset) -> GroupOverview:
    status = dataset[names.STATUS].to_numpy()
    counts = {kind.name.lower(): int(np.sum(status == kind)) for kind in Status}
    num_seeds, num_scales, num_epochs = (dataset.sizes[dim] for dim in names.LEADING_DIMS)
    return GroupOverview(
        path=path,
        shape=(num_seeds, num_scales, num_epochs),
        counts={kind: count for kind, count in counts.items() if count},
    )


def _runs(datasets: Iterable[xr.Dataset]) -> list[tuple[int, float]]:
    """Returns the runs that have at least one entry in ``status``."""
    runs: set[tuple[int, float]] = set()
    for dataset in datasets:
        status = dataset[names.STATUS].load()
        for seed in status[names.SEED].to_numpy().tolist():
            for init_scale in status[names.INIT_SCALE].to_numpy().tolist():
                if (status.sel({names.SEED: seed, names.INIT_SCALE: init_scale}) != int(Status.MISSING)).any():
                    runs.add((seed, init_scale))
    return sorted(runs)


def _value(column: xr.DataArray, run: tuple[int, float]) -> float:
    seeds, scales = column.indexes[names.SEED], column.indexes[names.INIT_SCALE]
    if run[0] not in seeds or run[1] not in scales:
        return float("nan")
    return float(column.sel({names.SEED: run[0], names.INIT_SCALE: run[1]}).to_numpy())
