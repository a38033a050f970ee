"""Probes and plugins made in a test, without a file."""

import importlib.machinery
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grokprobe import plugins
from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Applicability, Context, Requirement
from grokprobe.variables import Measurement, VariableSpec
from unit.testing.miniature import NoOptions

VALUE = VariableSpec(name="value", description="A number.", reference="grokprobe")
WEIGHTS = frozenset({Requirement.WEIGHTS})


class MadeProbe:
    """A probe that measures what a function returns: a number for ``value``, or a whole Measurement."""

    options: Any = NoOptions
    is_cheap = False

    def __init__(
        self,
        name: str,
        function: Callable[[Context], Any],
        *,
        requires: frozenset[Requirement] = WEIGHTS,
        specs: tuple[VariableSpec, ...] = (VALUE,),
        version: str = "1",
    ) -> None:
        self.variants: Any = {}
        self.name, self.version, self.requires = name, version, requires
        self.function, self.specs = function, specs

    def applies(self, subject: Any, options: Any) -> Applicability:
        return Applicability()

    def variables(self, options: Any) -> tuple[VariableSpec, ...]:
        return self.specs

    def measure(self, context: Context) -> Measurement:
        found = self.function(context)
        if isinstance(found, Measurement):
            return found
        return Measurement(values={"value": np.asarray(found, dtype=np.float64)}, coordinates={})


def make_plugin(name: str, *probes: Any) -> ModuleType:
    """Returns a module that provides ``probes``."""

    def grokprobe_probes() -> tuple[Any, ...]:
        return probes

    module = ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    vars(module)["grokprobe_probes"] = hookimpl(grokprobe_probes)
    return module


def install_plugin(monkeypatch: pytest.MonkeyPatch, name: str, *probes: Any) -> plugins.PluginSelection:
    """Makes ``name`` an importable plugin; returns the selection that loads it."""
    monkeypatch.setitem(sys.modules, name, make_plugin(name, *probes))
    plugins.load_plugins.cache_clear()
    return plugins.PluginSelection(requested=(name,))
