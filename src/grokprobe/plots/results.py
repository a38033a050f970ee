"""The results of one experiment, as figures read them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xarray as xr

from grokprobe import names
from grokprobe.status import Status
from grokprobe.store import open_results


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentResults:
    """The groups of one experiment, read from disk when they are used."""

    #: Name in the store.
    name: str
    #: Attributes of the experiment.
    attributes: Mapping[str, Any]
    #: Path below the experiment → its group: ``history``, ``probes/fourier``.
    groups: Mapping[str, xr.Dataset]

    @property
    def history(self) -> xr.Dataset | None:
        """Loss and accuracy along the runs, where they are known."""
        return self.groups.get(names.HISTORY)

    @property
    def summary(self) -> xr.Dataset | None:
        """Times and final values, where they are known."""
        return self.groups.get(names.SUMMARY)

    def load_small(self, most_bytes: int = 4_000_000) -> None:
        """Reads every variable of at most so many bytes into memory, before many single numbers of it are asked for."""
        for group in self.groups.values():
            for variable in group.variables.values():
                if variable.nbytes <= most_bytes:
                    variable.load()

    def until(self, epochs: int | Mapping[tuple[int, float], int]) -> "ExperimentResults":
        """Returns the same as if the runs had ended at an epoch; of the numbers only ``status`` is read.

        What figures show at the last epoch they then show at the last one measured until that epoch, and they draw no
        run further. Times and final values in ``summary`` stay those of the whole runs.

        Args:
            epochs: of all runs; or of each run, ``{(seed, init_scale): epoch}``, and there are no others.

        Example:
            >>> group = xr.Dataset(
            ...     {"status": (names.LEADING_DIMS, [[[1, 1, 1]], [[1, 1, 1]]])},
            ...     coords={"seed": [0, 1], "init_scale": [1.0], "epoch": [0, 5, 10]},
            ... )
            >>> results = ExperimentResults(name="e", attributes={}, groups={"probes/p": group})
            >>> until = results.until({(1, 1.0): 5}).groups["probes/p"]
            >>> assert until.seed == [1] and until.epoch.values.tolist() == [0, 5]
        """
        return replace(self, groups={path: _until(group, epochs) for path, group in self.groups.items()})

    def of_kind(self, kind: str) -> dict[str, xr.Dataset]:
        """Returns the groups ``kind/LABEL`` by path, in the order of their names."""
        return {path: group for path, group in self.groups.items() if path.partition("/")[0] == kind}

    def holding(self, kind: str, *variables: str) -> dict[str, xr.Dataset]:
        """Returns the groups of a kind that hold all these variables."""
        return {path: group for path, group in self.of_kind(kind).items() if set(variables) <= set(group.data_vars)}


def read_experiments(path: str | Path) -> tuple[ExperimentResults, ...]:
    """Reads a results store lazily, one entry an experiment in the order of names.

    Raises:
        UsageError: there is no results store at ``path``.
        StoreError: its format is newer than this version.
    """
    tree = open_results(path)
    return tuple(read_experiment(tree.children[name]) for name in sorted(tree.children))


def read_experiment(node: xr.DataTree) -> ExperimentResults:
    """Returns the results of one experiment of a tree, as ``open_results(path)["modular_addition-paper"]``."""
    groups = {child.relative_to(node): child.to_dataset(inherit=False) for child in node.subtree if child.has_data}
    return ExperimentResults(
        name=node.name or "results",
        attributes={str(key): value for key, value in node.attrs.items()},
        groups=dict(sorted(groups.items())),
    )


def _until(group: xr.Dataset, epochs: int | Mapping[tuple[int, float], int]) -> xr.Dataset:
    last = epochs if isinstance(epochs, int) else max(epochs.values(), default=-1)
    if names.EPOCH in group.indexes:
        group = group.isel({names.EPOCH: group[names.EPOCH].to_numpy() <= last})
    if isinstance(epochs, int):
        return group
    for dim, chosen in zip(names.SUMMARY_DIMS, zip(*epochs, strict=True), strict=False):
        group = group.isel({dim: group[dim].isin(list(set(chosen))).to_numpy()})
    if names.STATUS not in group:
        return group
    is_kept = xr.zeros_like(group[names.STATUS], dtype=bool)
    for (seed, scale), epoch in epochs.items():
        is_run = (group[names.SEED] == seed) & (group[names.INIT_SCALE] == scale)
        is_kept = is_kept | (is_run & (group[names.EPOCH] <= epoch) if names.EPOCH in group.dims else is_run)
    status = group[names.STATUS]
    return group.assign({names.STATUS: status.where(is_kept, int(Status.MISSING)).assign_attrs(status.attrs)})
