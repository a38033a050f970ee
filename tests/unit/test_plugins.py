import importlib.metadata
import pickle
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from grokprobe import names
from grokprobe.errors import GrokprobeWarning, PluginError, UsageError
from grokprobe.hookspecs import hookimpl
from grokprobe.planned_measures import build_requests
from grokprobe.plugins import TASKS, Plugins, PluginSelection, load_plugins
from unit.made_probes import MadeProbe, install_plugin, make_plugin

TASK_SOURCE = """
from unit.testing.miniature import Doubling

class Tripling(Doubling):
    name = "tripling"

class Half:
    name = "half"
"""
PROBE_SOURCE = """
from grokprobe.hookspecs import hookimpl
from unit.made_probes import MadeProbe

@hookimpl
def grokprobe_probes():
    return (MadeProbe("from_file", lambda context: 1.0),)
"""


@dataclass(frozen=True)
class Distribution:
    name: str
    version: str = "1.0"


@dataclass(frozen=True)
class EntryPoint:
    """An installed plugin as importlib.metadata lists it."""

    name: str
    dist: Distribution
    module: ModuleType | Exception

    @property
    def value(self) -> str:
        return self.name

    def load(self) -> ModuleType:
        if isinstance(self.module, Exception):
            raise self.module
        return self.module


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    load_plugins.cache_clear()
    yield
    load_plugins.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, *entry_points: EntryPoint) -> None:
    """Makes these the installed plugins, instead of the real ones."""
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: list(entry_points))


def probe(name: str) -> MadeProbe:
    return MadeProbe(name, lambda context: 1.0)


GOOD = EntryPoint("good", Distribution("good-dist"), make_plugin("good", probe("good_probe")))


def misspelt() -> ModuleType:
    module = make_plugin("misspelt")

    def grokprobe_probs() -> tuple[Any, ...]:
        return ()

    vars(module)["grokprobe_probs"] = hookimpl(grokprobe_probs)
    return module


def incomplete() -> ModuleType:
    class Incomplete(MadeProbe):
        def __init__(self) -> None:
            super().__init__("incomplete", lambda context: 1.0)
            del self.requires

    return make_plugin("incomplete", probe("whole"), Incomplete())


def raising() -> ModuleType:
    module = make_plugin("raising")

    def grokprobe_tasks() -> tuple[Any, ...]:
        raise RuntimeError("no weather today")

    vars(module)["grokprobe_tasks"] = hookimpl(grokprobe_tasks)
    return module


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (ImportError("no module named 'cupy'"), "no module named 'cupy'"),
        (SyntaxError("invalid syntax"), "invalid syntax"),
        (misspelt(), "grokprobe_probs"),
        (incomplete(), "lacks requires"),
        (raising(), "no weather today"),
        (make_plugin("number", 3), "lacks"),
    ],
    ids=["import", "syntax", "misspelt hook", "incomplete probe", "raising hook", "no probe at all"],
)
def test_a_broken_plugin_costs_itself_only(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType | Exception, reason: str
) -> None:
    install(monkeypatch, EntryPoint("broken", Distribution("bad-dist"), module), GOOD)
    with pytest.warns(GrokprobeWarning) as caught:
        plugins = load_plugins(PluginSelection())
    (message,) = [str(warning.message) for warning in caught]
    assert "'broken'" in message
    assert "bad-dist" in message
    assert reason in message
    assert plugins.names_of(names.PROBES) == ["good_probe"]
    assert {plugin.name: bool(plugin.error) for plugin in plugins.loaded} == {"broken": True, "good": False}
    (error,) = [plugin.error for plugin in plugins.loaded if plugin.error]
    assert reason in error


@pytest.mark.parametrize("member", ["name", "version", "requires", "is_cheap", "options", "applies", "variables"])
def test_every_member_is_required(monkeypatch: pytest.MonkeyPatch, member: str) -> None:
    complete = {**vars(MadeProbe), **vars(probe("partial"))}
    own = {key: value for key, value in complete.items() if key != member and not key.startswith("__")}
    partial = type("Partial", (), own)()
    install(monkeypatch, EntryPoint("partial", Distribution("bad-dist"), make_plugin("partial", partial)))
    with pytest.warns(GrokprobeWarning, match=f"lacks {member};"):
        load_plugins(PluginSelection())


def test_nothing_is_said_of_plugins_that_are_well(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, GOOD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = load_plugins(PluginSelection()).provided
    assert (found.kind, found.name, found.plugin.distribution, found.plugin.version) == (
        names.PROBES, "good_probe", "good-dist", "1.0"
    )  # fmt: skip


def test_the_built_in_plugins_come_through_entry_points() -> None:
    plugins = load_plugins(PluginSelection())
    assert {"fourier", "weights"} <= set(plugins.names_of(names.PROBES))
    assert plugins.find_task("modular_addition").name == "modular_addition"
    assert plugins.find(names.PROBES, "fourier").plugin.distribution == "grokprobe"


def test_one_can_be_left_out() -> None:
    plugins = load_plugins(PluginSelection(requested=("no:builtin_probes",)))
    assert not {"fourier", "weights"} & set(plugins.names_of(names.PROBES))
    assert "modular_addition" in plugins.names_of(TASKS)


def test_a_module_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = load_plugins(install_plugin(monkeypatch, "asked_for", probe("asked")))
    assert plugins.find(names.PROBES, "asked").plugin.name == "asked_for"
    assert "fourier" in plugins.names_of(names.PROBES)


def test_a_module_asked_for_twice_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin(monkeypatch, "asked_for", probe("asked"))
    monkeypatch.setenv("GROKPROBE_PLUGINS", "asked_for")
    plugins = load_plugins(PluginSelection.from_environment(("asked_for",)))
    assert plugins.find(names.PROBES, "asked").name == "asked"


def test_an_installed_plugin_can_be_asked_for_by_name() -> None:
    plugins = load_plugins(PluginSelection(requested=("builtin_probes",)))
    assert plugins.find(names.PROBES, "fourier").name == "fourier"


@pytest.mark.parametrize("name", ["no_such_module", "no_such.module", "a b", ".x"])
def test_a_plugin_that_does_not_exist_is_an_error(name: str) -> None:
    with pytest.raises(PluginError, match=r"no plugin .*builtin_probes"):
        load_plugins(PluginSelection(requested=(name,)))


def test_a_broken_module_that_was_asked_for_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken_module.py").write_text("import absent_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(GrokprobeWarning, match="'broken_module'.*absent_library"):
        plugins = load_plugins(PluginSelection(requested=("broken_module",)))
    assert "fourier" in plugins.names_of(names.PROBES)


def test_a_directory_of_plugins(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PROBE_SOURCE)
    (tmp_path / "broken.py").write_text("def (:\n")
    (tmp_path / "notes.txt").write_text("no Python")
    with pytest.warns(GrokprobeWarning, match=r"'broken' of broken\.py"):
        plugins = load_plugins(PluginSelection(directory=tmp_path))
    found = plugins.find(names.PROBES, "from_file")
    assert (found.plugin.name, found.plugin.distribution) == ("mine", "mine.py")
    with pytest.raises(PluginError, match="nothing at"):
        load_plugins(PluginSelection(directory=tmp_path / "absent"))


def test_the_environment_names_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROKPROBE_PLUGINS", " first, no:second,,")
    selection = PluginSelection.from_environment(("third",))
    assert selection.requested == ("first", "no:second", "third")
    monkeypatch.delenv("GROKPROBE_PLUGINS")
    assert PluginSelection.from_environment() == PluginSelection()


def test_a_selection_travels_to_other_processes(tmp_path: Path) -> None:
    selection = PluginSelection(requested=("a",), directory=tmp_path)
    assert pickle.loads(pickle.dumps(selection)) == selection  # noqa: S301 - written a moment ago


@pytest.fixture
def shared_name(monkeypatch: pytest.MonkeyPatch) -> Plugins:
    install(
        monkeypatch,
        EntryPoint("one", Distribution("one-dist"), make_plugin("one", probe("same"), probe("only_one"))),
        EntryPoint("two", Distribution("two-dist"), make_plugin("two", probe("same"))),
    )
    with pytest.warns(GrokprobeWarning, match="'same'.*one-dist and two-dist"):
        return load_plugins(PluginSelection())


def test_a_name_of_two_plugins_is_an_error_only_when_it_is_used(shared_name: Plugins) -> None:
    assert shared_name.find(names.PROBES, "only_one").plugin.name == "one"
    with pytest.raises(PluginError, match=r"several plugins.*one-dist:same, two-dist:same"):
        shared_name.find(names.PROBES, "same")
    assert shared_name.find(names.PROBES, "two-dist:same").plugin.name == "two"
    with pytest.raises(UsageError, match="three-dist:same"):
        shared_name.find(names.PROBES, "three-dist:same")


def test_a_name_with_its_distribution_takes_options_like_any_other(shared_name: Plugins) -> None:
    (request,) = build_requests(names.PROBES, ["two-dist:same"], shared_name, {"same": {"size": 3}})
    assert (request.name, dict(request.options)) == ("two-dist:same", {"size": 3})


@pytest.mark.parametrize(
    ("name", "hint"), [("furier", "did you mean 'fourier'"), ("zzz", "known: .*fourier, .*weights"), ("", "known")]
)
def test_an_unknown_name_gets_a_hint(name: str, hint: str) -> None:
    plugins = load_plugins(PluginSelection(requested=()))
    with pytest.raises(UsageError, match=f"unknown probe {name!r}; .*{hint}"):
        plugins.find(names.PROBES, name)


def test_a_task_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tasks.py"
    path.write_text(TASK_SOURCE)
    plugins = load_plugins(PluginSelection())
    task_class = plugins.load_task(f"{path}:Tripling")
    assert task_class.name == "tripling"
    with pytest.raises(UsageError, match=r"has no 'Quadrupling'; it has .*Tripling"):
        plugins.load_task(f"{path}:Quadrupling")
    with pytest.raises(UsageError, match=r"lacks .*build_model"):
        plugins.load_task(f"{path}:Half")
    with pytest.raises(UsageError, match="No such file"):
        plugins.load_task(f"{tmp_path / 'absent.py'}:Tripling")


def test_a_task_file_that_does_not_run_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "tasks.py"
    path.write_text("import absent_library\n")
    with pytest.raises(UsageError, match="absent_library"):
        load_plugins(PluginSelection()).load_task(f"{path}:Tripling")
