"""The Ising model: snapshots, the task, its network and recipes, and what its neurons know."""

from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Probe, Task
from grokprobe_tasks.ising.energy import EnergyProbe
from grokprobe_tasks.ising.task import Ising


@hookimpl
def grokprobe_tasks() -> tuple[type[Task], ...]:
    """Returns the one task of this package."""
    return (Ising,)


@hookimpl
def grokprobe_probes() -> tuple[Probe, ...]:
    """Returns the probe of its features."""
    return (EnergyProbe(),)
