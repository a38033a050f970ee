"""Loading plugins, and finding what they provide by name.

Built-ins come in through the same entry-point group as strangers. A plugin that cannot be loaded, misspells a hook or
returns something incomplete costs itself only: it is remembered with its error and named in one warning.
"""

import functools
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pluggy

from grokprobe import hookspecs, names
from grokprobe.errors import GrokprobeWarning, PluginError, UsageError
from grokprobe.faults import suggest
from grokprobe.interfaces import Compressor, GeometryMetric, Probe, Task

ENTRY_POINT_GROUP: Final = "grokprobe"
TASKS: Final = "tasks"
#: Kind of thing → (hook that returns it, its Protocol, the word for one of it).
KINDS: Final = {
    TASKS: ("grokprobe_tasks", Task, "task"),
    names.PROBES: ("grokprobe_probes", Probe, "probe"),
    names.COMPRESSORS: ("grokprobe_compressors", Compressor, "compressor"),
    names.GEOMETRY: ("grokprobe_metrics", GeometryMetric, "metric"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSelection:
    """Which plugins to load. Picklable, so that a worker process loads the same ones."""

    #: Importable modules to load beside the installed plugins, and ``no:NAME`` to leave one out.
    requested: tuple[str, ...] = ()
    #: Directory whose ``.py`` files are plugins. They are code: never taken from a checkpoint directory.
    directory: Path | None = None

    @classmethod
    def from_environment(cls, requested: tuple[str, ...] = (), directory: Path | None = None) -> "PluginSelection":
        """Returns the selection with ``GROKPROBE_PLUGINS`` (comma-separated, as ``-p``) put before ``requested``."""
        listed = tuple(name.strip() for name in os.environ.get("GROKPROBE_PLUGINS", "").split(",") if name.strip())
        return cls(requested=listed + requested, directory=directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plugin, loaded or not."""

    #: Name of the entry point, module or file.
    name: str
    #: Distribution it came with, or where it was found.
    distribution: str
    #: Version of the distribution; empty where there is none.
    version: str
    #: Why it could not be used; empty if it could.
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """One task or measure that a plugin provides."""

    #: A key of :data:`KINDS`.
    kind: str
    #: Its own name.
    name: str
    #: The plugin it came with.
    plugin: Plugin
    #: The Task class, or the measure.
    item: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """Everything that was loaded."""

    #: Every plugin that was found, the broken ones with their error.
    loaded: tuple[Plugin, ...]
    #: Every task and measure, sorted by kind and name.
    provided: tuple[Provided, ...]

    def find(self, kind: str, name: str) -> Provided:
        """Returns what ``name``, or ``distribution:name``, stands for.

        Raises:
            UsageError: nothing has that name, or several plugins claim it.
        """
        distribution, _, own_name = name.rpartition(":")
        found = [
            entry
            for entry in self.provided
            if entry.kind == kind and entry.name == own_name and distribution in ("", entry.plugin.distribution)
        ]
        if len(found) == 1:
            return found[0]
        word = KINDS[kind][2]
        if not found:
            raise UsageError(f"unknown {word} {name!r}{suggest(own_name, self.names_of(kind))}")
        claims = ", ".join(f"{entry.plugin.distribution}:{own_name}" for entry in found)
        raise PluginError(f"{word} {name!r} is provided by several plugins; say which one: {claims}")

    def find_task(self, name: str) -> type[Task]:
        """Returns the Task class that a plugin registered as ``name``. Runs nothing: names in files come here.

        Raises:
            UsageError: no plugin provides it.
        """
        return self.find(TASKS, name).item

    def load_task(self, name: str) -> type[Task]:
        """Returns the Task class for a name that the user gave: a registered one, or ``FILE.py:CLASS``, which is run.

        Raises:
            UsageError: there is none.
        """
        if not name.rpartition(":")[0].endswith(".py"):
            return self.find_task(name)
        task_class = load_attribute(name, "--task")
        _check_complete(task_class, Task, "task")
        return task_class

    def names_of(self, kind: str) -> list[str]:
        """Returns the sorted names of everything of one kind."""
        return sorted({entry.name for entry in self.provided if entry.kind == kind})


@functools.lru_cache(maxsize=8)
def load_plugins(selection: PluginSelection) -> Plugins:
    """Loads the installed plugins and those of ``selection``, each on its own.

    Raises:
        PluginError: a plugin that was asked for by name does not exist.
    """
    blocked = {name.removeprefix("no:") for name in selection.requested if name.startswith("no:")}
    plugins: list[Plugin] = []
    provided: list[Provided] = []
    candidates = list(_candidates(selection))
    for name in sorted(blocked - {plugin.name for plugin, _ in candidates}):
        warnings.warn(f"-p no:{name}: there is no such plugin", GrokprobeWarning, stacklevel=2)
    for plugin, load in candidates:
        if plugin.name in blocked:
            continue
        try:
            provided.extend(_collect(plugin, load()))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code may raise anything: its own cost
            reason = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
            warnings.warn(
                f"plugin {plugin.name!r} of {plugin.distribution} is left out: {reason}", GrokprobeWarning, stacklevel=2
            )
            plugins.append(
                Plugin(name=plugin.name, distribution=plugin.distribution, version=plugin.version, error=reason)
            )
        else:
            plugins.append(plugin)
    _warn_of_shared_names(provided)
    return Plugins(loaded=tuple(plugins), provided=tuple(sorted(provided, key=lambda entry: (entry.kind, entry.name))))


def _candidates(selection: PluginSelection) -> Iterator[tuple[Plugin, Callable[[], object]]]:
    entry_points = {}
    for entry_point in sorted(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.value):
        entry_points[entry_point.name] = entry_point
        distribution = entry_point.dist
        plugin = Plugin(
            name=entry_point.name,
            distribution=distribution.name if distribution else entry_point.value,
            version=distribution.version if distribution else "",
        )
        yield plugin, entry_point.load
    for name in dict.fromkeys(selection.requested):
        if name.startswith("no:") or name in entry_points:
            continue
        if not _is_importable(name):
            raise PluginError(
                f"no plugin {name!r}: it is neither an installed plugin ({', '.join(sorted(entry_points))})"
                " nor a module that can be imported; install it or add its directory to PYTHONPATH"
            )
        yield Plugin(name=name, distribution=name, version=""), functools.partial(importlib.import_module, name)
    if selection.directory is not None:
        if not selection.directory.is_dir():
            raise PluginError(f"--plugins-dir: expected a directory, found nothing at {selection.directory}")
        for path in sorted(selection.directory.glob("*.py")):
            yield (
                Plugin(name=path.stem, distribution=path.name, version=""),
                functools.partial(_load_file, path, f"grokprobe_plugins_dir_{path.stem}"),
            )


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a parent package that does not exist, or a name that is no module path
        return False


def _load_file(path: Path, module_name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"expected Python source, found {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # before it runs, so that its classes can be pickled and its imports resolve
    spec.loader.exec_module(module)
    return module


def load_attribute(name: str, option: str) -> Any:
    """Returns what ``FILE.py:NAME`` or ``MODULE:NAME`` stands for; the file or module is run.

    Args:
        name: as given by the user.
        option: the option it was given to, for messages.

    Raises:
        UsageError: it cannot be loaded, or has no such name.
    """
    source, _, attribute = name.rpartition(":")
    path = Path(source)
    try:
        is_file = path.suffix == ".py"
        module = _load_file(path, f"grokprobe_file_{path.stem}") if is_file else importlib.import_module(source)
    except Exception as error:
        raise UsageError(f"{option}: {source} cannot be loaded: {type(error).__name__}: {error}") from error
    if attribute not in vars(module):
        known = ", ".join(key for key, value in vars(module).items() if callable(value)) or "none"
        raise UsageError(f"{option}: {source} has no {attribute!r}; it has {known}")
    return vars(module)[attribute]


def _collect(plugin: Plugin, module: object) -> list[Provided]:
    """Registers one plugin by itself, so that its faults are its own, and calls its hooks."""
    manager = pluggy.PluginManager("grokprobe")
    manager.add_hookspecs(hookspecs)
    manager.register(module, plugin.name)
    manager.check_pending()  # refuses a misspelt hook
    provided = []
    for kind, (hook, protocol, word) in KINDS.items():
        for items in getattr(manager.hook, hook)():
            for item in items:
                _check_complete(item, protocol, word)
                provided.append(Provided(kind=kind, name=item.name, plugin=plugin, item=item))
    return provided


def _check_complete(item: object, protocol: type, word: str) -> None:
    members = {
        name
        for base in protocol.__mro__
        for name in {*vars(base), *vars(base).get("__annotations__", {})}
        if not name.startswith("_")
    }
    known = {name for base in getattr(item, "__mro__", type(item).__mro__) for name in vars(base)}
    absent = sorted(members - known - set(getattr(item, "__dict__", {})))
    if absent:
        raise PluginError(f"{word} {item!r} lacks {', '.join(absent)}; every member of {protocol.__name__} is required")


def _warn_of_shared_names(provided: list[Provided]) -> None:
    holders: dict[tuple[str, str], list[str]] = {}
    for entry in provided:
        holders.setdefault((entry.kind, entry.name), []).append(entry.plugin.distribution)
    for (kind, name), distributions in holders.items():
        if len(distributions) > 1:
            warnings.warn(
                f"{KINDS[kind][2]} {name!r} is provided by {' and '.join(distributions)};"
                f" name one as {distributions[0]}:{name}",
                GrokprobeWarning,
                stacklevel=3,
            )
