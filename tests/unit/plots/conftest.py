from pathlib import Path

import pytest

from grokprobe.plots import ExperimentResults, read_experiments
from unit.made_results import Sweep, write_results


@pytest.fixture(scope="session")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("made") / "r.zarr", Sweep(seeds=(0, 1)))


@pytest.fixture(scope="session")
def made(made_store: Path) -> ExperimentResults:
    (results,) = read_experiments(made_store)
    return results
