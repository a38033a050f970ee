"""A store for the tests of the dashboard, which only read it."""

from pathlib import Path

import pytest

from grokprobe.dashboard.opened import OpenedStore, open_store
from grokprobe.plugins import Plugins, PluginSelection, load_plugins
from unit.made_results import Sweep, write_results


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return load_plugins(PluginSelection())


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two blocks of epochs."""
    sweep = Sweep(seeds=(0, 1), epochs=range(0, 200, 5), without=("geometry/fisher",))
    return write_results(tmp_path_factory.mktemp("dashboard") / "r.zarr", sweep)


@pytest.fixture
def store(store_path: Path, plugins: Plugins) -> OpenedStore:
    return open_store(store_path, plugins)
