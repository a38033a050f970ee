"""What every test shares."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from object_store_server import bucket, s3_endpoint
from skip_reasons import pytest_sessionfinish, pytest_terminal_summary

__all__ = ["bucket", "pytest_sessionfinish", "pytest_terminal_summary", "s3_endpoint", "shared_data"]

ROOT = Path(__file__).resolve().parent.parent

torch.set_num_threads(1)  # the test processes share the cores

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.load_profile("ci")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tests neither read nor fill the user's cache; simulated snapshots are shared within a test process."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("GROKPROBE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real checkpoints beside the repository, where there are some."""
    directory = ROOT.parent / "shared" / "data"
    if not directory.is_dir():
        pytest.skip("no shared data")
    return directory
