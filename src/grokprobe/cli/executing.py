"""Where a command computes: the options ``--jobs`` and ``--dask``."""

import contextlib
from collections.abc import Mapping

from grokprobe.errors import UsageError
from grokprobe.executors import ProcessWorkers, SerialExecutor, Workers, open_cluster


def open_workers(jobs: int | None, dask: str | None) -> contextlib.AbstractContextManager[Workers]:
    """Returns the workers that are asked for: this process if nothing is.

    Raises:
        UsageError: there is no such cluster.
    """
    if dask is not None:
        return open_cluster(dask)
    return ProcessWorkers(jobs) if jobs is not None and jobs > 1 else SerialExecutor()


def refuse_several(options: Mapping[str, object]) -> None:
    """Raises where more than one of the options is given that say where to compute.

    Raises:
        UsageError: naming them.
    """
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"expected at most one of {', '.join(options)}, found {' and '.join(given)}")
