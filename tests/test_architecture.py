"""The source tree keeps its layers, and every rule that says so can be seen to fail."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

import architecture
from architecture import Modules

ROOT = Path(__file__).resolve().parent.parent

#: The modules and packages of grokprobe; a line imports only from lines above it and from itself.
LAYERS = (
    ("errors", "names", "status", "version", "devices", "atomic", "cache_directory"),
    (
        "variables",
        "progress",
        "settings",
        "cache",
        "inert_pickle",
        "requirements",
        "samples",
        "history",
        "faults",
        "options",
        "markup",
    ),
    ("numerics",),
    ("checkpoints",),
    ("interfaces", "context", "hookspecs", "plugin_sources", "plugins", "executors", "user_code", "evaluation"),
    ("probes", "compressors", "geometry"),
    ("derive",),
    ("dataset", "store"),
    (
        "placing",
        "experiments",
        "splits",
        "reference",
        "binding",
        "loading",
        "curves",
        "analysis_report",
        "planned_measures",
        "planning",
        "experiment_plan",
        "units",
        "division",
        "pipeline",
        "writing",
        "analysis",
        "live",
        "overview",
    ),
    ("training",),
    ("plots", "report", "comparison", "dashboard", "testing", "cli"),
)

#: Name of the rule → the function that lists its violations.
RULES: dict[str, Callable[[Modules], list[str]]] = {
    "layers": functools.partial(architecture.find_layer_violations, layers=LAYERS),
    "cycles": architecture.find_cycles,
    "no task in the core": architecture.find_task_imports,
    "numerics are pure": functools.partial(
        architecture.find_forbidden_imports,
        package="grokprobe.numerics",
        forbidden=("xarray", "zarr", "click", "rich", "matplotlib"),
    ),
    "only the store touches zarr": functools.partial(
        architecture.find_stray_imports, library="zarr", allowed=("grokprobe.store",)
    ),
    "one module knows icechunk": functools.partial(
        architecture.find_stray_imports, library="icechunk", allowed=("grokprobe.store.object_store",)
    ),
    "the store needs no torch": functools.partial(
        architecture.find_reached, package="grokprobe.store", library="torch"
    ),
    "only the command line draws": functools.partial(
        architecture.find_stray_imports, library="rich", allowed=("grokprobe.cli",)
    ),
    "only the command line parses arguments": functools.partial(
        architecture.find_stray_imports, library="click", allowed=("grokprobe.cli",)
    ),
    "only the command line prints or exits": architecture.find_output,
    "imports at the top": architecture.find_inner_imports,
    "names that say something": architecture.find_homeless_names,
    "a file is data": architecture.find_unsafe_loading,
    "modules are documented": architecture.find_undocumented,
    "short files": architecture.find_long_files,
}

#: (rule, path, source, part of the message): one file that breaks the rule when it is added to the miniature tree.
BREACHES = (
    ("layers", "grokprobe/errors.py", "from grokprobe import variables", "imports grokprobe.variables"),
    ("layers", "grokprobe/numerics/path.py", "import grokprobe.store.cube", "imports grokprobe.store.cube"),
    ("layers", "grokprobe/errors.py", "from grokprobe import __version__", "imports grokprobe, which lies below"),
    ("layers", "grokprobe/gadgets.py", "", "grokprobe.gadgets is on no line"),
    ("cycles", "grokprobe/numerics/fourier.py", "from grokprobe.numerics import mean", "import cycle"),
    ("cycles", "grokprobe_tasks/ising.py", "import grokprobe_tasks.ising", "import cycle"),
    ("no task in the core", "grokprobe/pipeline.py", "import grokprobe_tasks.ising", "imports grokprobe_tasks.ising"),
    ("no task in the core", "grokprobe/cli/run.py", "def f():\n    import grokprobe_tasks", "imports grokprobe_tasks"),
    (
        "numerics are pure",
        "grokprobe/numerics/path.py",
        "import xarray as xr",
        "grokprobe.numerics.path imports xarray",
    ),
    ("numerics are pure", "grokprobe/numerics/path.py", "from rich.table import Table", "imports rich"),
    ("only the store touches zarr", "grokprobe/dataset.py", "import zarr", "grokprobe.dataset imports zarr"),
    ("only the store touches zarr", "grokprobe_tasks/ising.py", "from zarr.codecs import ZstdCodec", "imports zarr"),
    (
        "one module knows icechunk",
        "grokprobe/store/cube.py",
        "import icechunk",
        "grokprobe.store.cube imports icechunk",
    ),
    ("the store needs no torch", "grokprobe/store/ledger.py", "import torch", "grokprobe.store.ledger imports torch"),
    ("the store needs no torch", "grokprobe/variables.py", "import torch", "cube -> grokprobe.variables imports torch"),
    ("only the command line draws", "grokprobe/pipeline.py", "import rich", "grokprobe.pipeline imports rich"),
    ("only the command line parses arguments", "grokprobe/pipeline.py", "import click", "imports click"),
    ("only the command line prints or exits", "grokprobe/pipeline.py", "print('done')", "line 2: print()"),
    ("only the command line prints or exits", "grokprobe/pipeline.py", "import sys\nsys.exit(1)", "line 3: sys.exit()"),
    ("only the command line prints or exits", "grokprobe_tasks/ising.py", "raise SystemExit(1)", "SystemExit()"),
    ("imports at the top", "grokprobe/pipeline.py", "def f():\n    from grokprobe import errors", "inside a function"),
    ("names that say something", "grokprobe/numerics/utils.py", "", "'utils' names no idea"),
    ("names that say something", "grokprobe/numerics/path_helpers.py", "", "'helpers' names no idea"),
    ("names that say something", "grokprobe/core/path.py", "", "'core' names no idea"),
    ("a file is data", "grokprobe/pipeline.py", "torch.load(path, weights_only=False)", "weights_only=False"),
    ("a file is data", "grokprobe/pipeline.py", "torch.load(path, weights_only=flag)", "weights_only=flag"),
    ("a file is data", "grokprobe/pipeline.py", "torch.load(path)", "without weights_only=True"),
    ("a file is data", "grokprobe/pipeline.py", "from torch import load", "from torch import load"),
    ("a file is data", "grokprobe_tasks/ising.py", "np.load(path, allow_pickle=True)", "allow_pickle=True"),
    ("a file is data", "grokprobe/pipeline.py", "pickle.load(file)", "pickle.load()"),
    ("a file is data", "grokprobe/pipeline.py", "from pickle import loads", "from pickle import loads"),
    ("a file is data", "grokprobe/pipeline.py", "class Reader(pickle.Unpickler):\n    pass", "pickle.Unpickler"),
    ("a file is data", "grokprobe/pipeline.py", "from pickle import Unpickler", "from pickle import Unpickler"),
    ("modules are documented", "grokprobe/numerics/path.py", None, "grokprobe.numerics.path has no docstring"),
    ("short files", "grokprobe/numerics/path.py", "a = 1\n" * 300, "has 302 lines"),
)

MINIATURE = {
    "grokprobe/__init__.py": "def __getattr__(name):\n    from grokprobe import pipeline",
    "grokprobe/__main__.py": "from grokprobe.cli import main\nraise SystemExit(main())",
    "grokprobe/errors.py": "",
    "grokprobe/variables.py": "from grokprobe.errors import VariableError",
    "grokprobe/numerics/__init__.py": "",
    "grokprobe/numerics/mean.py": "import torch\nfrom grokprobe.numerics import fourier",
    "grokprobe/numerics/fourier.py": "import numpy as np",
    "grokprobe/store/__init__.py": "from grokprobe.store.cube import Cube",
    "grokprobe/store/cube.py": "import zarr\nfrom grokprobe.variables import VariableSpec",
    "grokprobe/pipeline.py": "import torch\nfrom grokprobe import store\ntorch.load('x', weights_only=True)",
    "grokprobe/cli/__init__.py": "import click\ndef main():\n    from grokprobe import pipeline\n    print('done')",
    "grokprobe_tasks/__init__.py": "from grokprobe.errors import GrokprobeError",
}


def write_miniature(directory: Path, files: dict[str, str | None]) -> Modules:
    for name, source in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if source is None else f'"""What it is."""\n{source}\n')
    return architecture.parse_tree(directory)


@pytest.fixture(scope="module")
def modules() -> Modules:
    return architecture.parse_tree(ROOT / "src", ROOT / "tasks")


@pytest.mark.parametrize("rule", RULES)
def test_tree_keeps_rule(modules, rule):
    assert RULES[rule](modules) == []


def test_tree_is_there(modules):
    assert {"grokprobe.errors", "grokprobe.numerics.streams"} <= modules.keys()
    assert "grokprobe.errors" in modules["grokprobe.variables"].imports


@pytest.mark.parametrize("rule", RULES)
def test_miniature_keeps_rule(tmp_path, rule):
    assert RULES[rule](write_miniature(tmp_path, dict(MINIATURE))) == []


@pytest.mark.parametrize(("rule", "path", "source", "message"), BREACHES, ids=[f"{b[0]}: {b[3]}" for b in BREACHES])
def test_breach_is_reported(tmp_path, rule, path, source, message):
    violations = RULES[rule](write_miniature(tmp_path, MINIATURE | {path: source}))
    assert any(message in violation for violation in violations), violations


def test_every_rule_is_seen_to_fail():
    assert {breach[0] for breach in BREACHES} == set(RULES)
