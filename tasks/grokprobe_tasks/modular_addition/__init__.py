"""Addition modulo p: the task, its network and its recipes."""

from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Task
from grokprobe_tasks.modular_addition.task import ModularAddition


@hookimpl
def grokprobe_tasks() -> tuple[type[Task], ...]:
    """Returns the one task of this package."""
    return (ModularAddition,)
