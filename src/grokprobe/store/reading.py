"""Opening results for reading."""

from pathlib import Path
from typing import Any

import xarray as xr
from zarr.abc.store import Store

from grokprobe import names
from grokprobe.errors import UsageError
from grokprobe.store.arrays import reporting_damage
from grokprobe.store.exchange import LEDGER, decode_private
from grokprobe.store.ledger import Coordinate, Entry, parse_ledger, read_ledger
from grokprobe.store.object_store import ObjectStore
from grokprobe.store.results import PRIVATE_DIRECTORY, check_format, check_root
from grokprobe.store.urls import ObjectUrl, find_url


def open_results(path: str | Path) -> xr.DataTree:
    """Opens a results store as a lazy ``xarray.DataTree``, sorted along every leading dimension.

    Stored order is order of arrival; ``xarray.open_datatree(path, engine="zarr")`` gives the same values in that order.

    Args:
        path: of the store, or its URL ``s3://BUCKET/PREFIX``; then its newest commit is read, chunk by chunk.

    Raises:
        UsageError: there is no results store at ``path``.
        StoreError: its format is newer than this version, or it cannot be reached.
    """
    url = find_url(path)
    if url is None:
        check_format(Path(path))
        tree = xr.open_datatree(path, engine="zarr")
    else:
        store: Any = _newest(url)  # xarray opens a store of zarr, although its types do not say so
        tree = xr.open_datatree(store, engine="zarr", consolidated=False)
    private = f"/{PRIVATE_DIRECTORY}"  # a group only where the store is a repository, which has no order of its own
    nodes = [node for node in tree.subtree if node.path != private]
    nodes.sort(key=lambda node: (node.level, node.path))
    return xr.DataTree.from_dict({node.path: _sorted(node.to_dataset(inherit=False)) for node in nodes})


def read_entries(path: str | Path) -> dict[Coordinate, Entry]:
    """Returns what the ledger of a store says about every coordinate; of a copy without one, nothing.

    Args:
        path: of the store, or its URL.

    Raises:
        UsageError: there is no results store at the URL.
        StoreError: it cannot be reached.
    """
    url = find_url(path)
    if url is None:
        return read_ledger(Path(path) / PRIVATE_DIRECTORY / LEDGER)
    files = decode_private(_newest(url))
    entries: dict[Coordinate, Entry] = {}
    for name in sorted(name for name in files if name.startswith(f"{LEDGER}/")):
        entries.update(parse_ledger(files[name]))
    return entries


def read_group(path: Path, group: str) -> xr.Dataset:
    """Reads one group into memory, published or not.

    Raises:
        DamagedStoreError: one of its chunks cannot be decoded.
    """
    with (
        reporting_damage(path, group),
        xr.open_dataset(path, group=group, engine="zarr", consolidated=False) as dataset,
    ):
        return dataset.load()


def _newest(url: ObjectUrl) -> Store:
    remote = ObjectStore(url)
    head = remote.head()
    if head is None:
        raise UsageError(f"expected a results store, found nothing at {url}")
    store = remote.zarr_store(head)
    check_root(store, url)
    return store


def _sorted(dataset: xr.Dataset) -> xr.Dataset:
    ordered = xr.Dataset(
        {name: dataset[name] for name in sorted(dataset.data_vars, key=str)}, dataset.coords, dataset.attrs
    )
    return ordered.sortby([dim for dim in names.LEADING_DIMS if dim in dataset.indexes])
