"""The one seam for parallel work: any ``concurrent.futures.Executor``.

Work is a pure function of paths and small values and returns a small receipt, so an executor of another process,
machine or cluster fits without the pipeline knowing. Four come with the package: this process, processes of this
machine, a cluster of Dask on this machine, and one anywhere.
"""

from grokprobe.executors.cluster import open_cluster
from grokprobe.executors.dispatch import Death, dispatch
from grokprobe.executors.processes import ProcessWorkers
from grokprobe.executors.serial import SerialExecutor
from grokprobe.executors.workers import WithdrawnError, Workers, check_wanted

__all__ = [
    "Death",
    "ProcessWorkers",
    "SerialExecutor",
    "WithdrawnError",
    "Workers",
    "check_wanted",
    "dispatch",
    "open_cluster",
]
