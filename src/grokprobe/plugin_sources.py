"""Where plugins come from: installed distributions, modules that were asked for, and files of a directory."""

import functools
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from grokprobe.errors import PluginError

ENTRY_POINT_GROUP: Final = "grokprobe"


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


def iterate_candidates(selection: PluginSelection) -> Iterator[tuple[Plugin, Callable[[], object]]]:
    """Yields every plugin that is installed or asked for, with what loads its module.

    Raises:
        PluginError: one that was asked for by name, or the directory, does not exist.
    """
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
                functools.partial(load_file, path, f"grokprobe_plugins_dir_{path.stem}"),
            )


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a parent package that does not exist, or a name that is no module path
        return False


def load_file(path: Path, module_name: str) -> ModuleType:
    """Runs a Python file as a module of the given name and returns it.

    Raises:
        PluginError: it is no Python source.
    """
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"expected Python source, found {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # before it runs, so that its classes can be pickled and its imports resolve
    spec.loader.exec_module(module)
    return module
