"""Addition modulo p: the task, its network and its recipes, and how far a network adds by frequencies."""

from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Probe, Task
from grokprobe_tasks.modular_addition.progress import ProgressProbe
from grokprobe_tasks.modular_addition.progress_by_final import ProgressByFinalProbe
from grokprobe_tasks.modular_addition.task import ModularAddition


@hookimpl
def grokprobe_tasks() -> tuple[type[Task], ...]:
    """Returns the one task of this package."""
    return (ModularAddition,)


@hookimpl
def grokprobe_probes() -> tuple[Probe, ...]:
    """Returns the probes of its waves."""
    return (ProgressProbe(), ProgressByFinalProbe())
