"""Loading plugins, and finding what they provide by name.

Built-ins come in through the same entry-point group as strangers. A plugin that cannot be loaded, misspells a hook or
returns something incomplete costs itself only: it is remembered with its error and named in one warning.
"""

import functools
import importlib
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pluggy

from grokprobe import hookspecs, names
from grokprobe.errors import GrokprobeWarning, PluginError, UsageError
from grokprobe.faults import suggest
from grokprobe.interfaces import CheckpointReader, Compressor, GeometryMetric, Probe, ResultsFigure, Task
from grokprobe.markup import render_block
from grokprobe.plugin_sources import Plugin, PluginSelection, iterate_candidates, load_file

TASKS: Final = "tasks"
FIGURES: Final = "figures"
READERS: Final = "readers"
#: Kind of thing → (hook that returns it, its Protocol, the word for one of it).
KINDS: Final = {
    TASKS: ("grokprobe_tasks", Task, "task"),
    names.PROBES: ("grokprobe_probes", Probe, "probe"),
    names.COMPRESSORS: ("grokprobe_compressors", Compressor, "compressor"),
    names.GEOMETRY: ("grokprobe_metrics", GeometryMetric, "metric"),
    FIGURES: ("grokprobe_figures", ResultsFigure, "figure"),
    READERS: ("grokprobe_readers", CheckpointReader, "reader"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """One task, measure, figure or reader that a plugin provides."""

    #: A key of :data:`KINDS`.
    kind: str
    #: Its own name.
    name: str
    #: The plugin it came with.
    plugin: Plugin
    #: The Task class, the measure, the figure, or the reader.
    item: Any

    @property
    def version(self) -> str:
        """Its own version; empty for a figure, of which nothing is stored."""
        return "" if self.kind == FIGURES else self.item.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """Everything that was loaded."""

    #: Every plugin that was found, the broken ones with their error.
    loaded: tuple[Plugin, ...]
    #: Every task, measure, figure and reader, sorted by kind and name.
    provided: tuple[Provided, ...]

    @property
    def readers(self) -> tuple[CheckpointReader, ...]:
        """The readers of further formats, sorted by name."""
        return tuple(entry.item for entry in self.provided if entry.kind == READERS)

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

    def _repr_html_(self) -> str:
        return render_block(
            f"Plugins: {len(self.loaded)}",
            header=("kind", "name", "version", "from"),
            rows=[(KINDS[e.kind][2], e.name, e.version, e.plugin.distribution) for e in self.provided],
            lines=[f"not used: {plugin.name}: {plugin.error}" for plugin in self.loaded if plugin.error],
        )


@functools.lru_cache(maxsize=8)
def load_plugins(selection: PluginSelection) -> Plugins:
    """Loads the installed plugins and those of ``selection``, each on its own.

    Raises:
        PluginError: a plugin that was asked for by name does not exist.
    """
    blocked = {name.removeprefix("no:") for name in selection.requested if name.startswith("no:")}
    plugins: list[Plugin] = []
    provided: list[Provided] = []
    candidates = list(iterate_candidates(selection))
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
        module = load_file(path, f"grokprobe_file_{path.stem}") if is_file else importlib.import_module(source)
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
