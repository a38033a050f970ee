"""The results of one experiment, as figures read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from grokprobe import names
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
