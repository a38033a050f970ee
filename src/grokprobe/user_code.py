"""The user's own code, which a worker has to import before it can take apart what was sent to it."""

import functools
import warnings
from dataclasses import dataclass
from typing import Any

from grokprobe.plugins import PluginSelection, load_plugins


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCode:
    """Where classes come from that are in no installed package.

    To unpickle it is to load the code. So what it is the first field of can have instances of such classes after it.
    """

    #: Modules and files of plugins.
    plugins: PluginSelection
    #: ``FILE.py:CLASS`` of a task, or its name; None where none was given.
    task: str | None

    def __reduce__(self) -> tuple[Any, ...]:
        return load_user_code, (self.plugins, self.task)


@functools.lru_cache(maxsize=8)
def load_user_code(plugins: PluginSelection, task: str | None) -> UserCode:
    """Loads the code, once a process; what is wrong with a plugin was said by the process that planned the work."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_plugins(plugins)
        if task is not None:
            loaded.load_task(task)
    return UserCode(plugins=plugins, task=task)
