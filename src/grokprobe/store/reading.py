"""Opening results for reading."""

from pathlib import Path

import xarray as xr

from grokprobe import names
from grokprobe.store.results import check_format


def open_results(path: str | Path) -> xr.DataTree:
    """Opens a results store as a lazy ``xarray.DataTree``, sorted along every leading dimension.

    Stored order is order of arrival; ``xarray.open_datatree(path, engine="zarr")`` gives the same values in that order.

    Raises:
        UsageError: there is no results store at ``path``.
        StoreError: its format is newer than this version.
    """
    check_format(Path(path))
    tree = xr.open_datatree(path, engine="zarr")
    return xr.DataTree.from_dict({node.path: _sorted(node.to_dataset(inherit=False)) for node in tree.subtree})


def read_group(path: Path, group: str) -> xr.Dataset:
    """Reads one group into memory, published or not."""
    with xr.open_dataset(path, group=group, engine="zarr", consolidated=False) as dataset:
        return dataset.load()


def _sorted(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.sortby([dim for dim in names.LEADING_DIMS if dim in dataset.indexes])
