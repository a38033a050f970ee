"""What the documentation says is what the sources say."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import architecture
from console_examples import Example, parse_examples, parse_page, run_page, run_pytest
from grokprobe.plugins import PluginSelection, load_plugins
from program import Outcome, grokprobe, run_function

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *NOTEBOOKS, *(ROOT / "tasks").rglob("README.md")])
PAGES_WITH_EXAMPLES = [page for page in PAGES if list(parse_page(page.read_text()))]
#: What stands in the table of dependencies about one that the project fixes and nothing uses.
UNUSED = "Nothing imports it yet"


def normalised(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def declared_dependencies() -> set[str]:
    groups = [PROJECT["project"]["dependencies"], PROJECT["build-system"]["requires"]]
    groups += PROJECT["project"]["optional-dependencies"].values()
    own = {PROJECT["project"]["name"]}  # an extra may be made of others
    return {normalised(requirement) for group in groups for requirement in group} - own


def hook_signatures() -> set[str]:
    tree = ast.parse((ROOT / "src/grokprobe/hookspecs.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {
        f"def {function.name}({ast.unparse(function.args)}) -> {ast.unparse(function.returns)}"
        for function in functions
        if function.returns and any(ast.unparse(mark) == "hookspec" for mark in function.decorator_list)
    }


def test_hooks_are_documented_with_their_exact_signatures():
    page = (ROOT / "docs/plugins.md").read_text()
    documented = set(re.findall(r"^#+ `(def grokprobe_.*)`$", page, re.MULTILINE))
    assert len(hook_signatures()) >= 4
    assert documented == hook_signatures()


def test_dependencies_are_documented():
    page = (ROOT / "docs/dependencies.md").read_text()
    documented = {normalised(name) for name in re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)}
    assert documented == declared_dependencies()


def test_unused_dependencies_say_so():
    page = (ROOT / "docs/dependencies.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", page, re.MULTILINE))
    modules = architecture.parse_tree(ROOT / "src", ROOT / "tasks")
    imported = {name.partition(".")[0] for module in modules.values() for name in module.imports}
    for requirement in PROJECT["project"]["dependencies"]:
        name = normalised(requirement)
        assert (UNUSED in rows[name]) is (name not in imported), name


def test_dependencies_are_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][^+\s]*", pin) for pin in pins)  # no +local version, no URL
    isolated = {normalised(requirement) for requirement in PROJECT["build-system"]["requires"]}
    assert declared_dependencies() - isolated <= {normalised(pin) for pin in pins}


def test_versions_agree():
    version = PROJECT["project"]["version"]
    assert re.search(rf"^version: {re.escape(version)}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)


def test_relative_links_lead_somewhere():
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_pages_have_examples():
    names = {page.name for page in PAGES if parse_examples(page.read_text())}
    assert {"README.md", "quickstart.md", "checkpoints.md", "plugins.md"} <= names


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.name)
def test_a_notebook_is_run_and_ends_in_asserts(page):
    text = page.read_text()
    assert text.startswith("---\nfile_format: mystnb\n")  # what makes the build execute it
    assert f"notebooks/{page.stem}\n" in (ROOT / "docs/index.md").read_text()
    assert f"notebooks/{page.stem}.ipynb" in text
    last = re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[-1]
    assert isinstance(ast.parse(re.sub(r"^:.*\n", "", last, flags=re.MULTILINE)).body[-1], ast.Assert)


def run_command(example: Example, directory: Path) -> Outcome:
    if example.program == "grokprobe":
        return grokprobe(*example.arguments, cwd=directory)
    return run_function(run_pytest, example.arguments, cwd=directory)


@pytest.mark.parametrize("page", PAGES_WITH_EXAMPLES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_does_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page.read_text(), tmp_path, run_command)


def test_template_plugin_is_found_by_its_entry_point():
    template = ROOT / "plugins" / "grokprobe-template"
    project = tomllib.loads((template / "pyproject.toml").read_text())["project"]
    entry_points = project["entry-points"]["grokprobe"]
    found = load_plugins(PluginSelection(requested=tuple(entry_points.values())))
    provided = {(entry.kind, entry.name) for entry in found.provided if entry.plugin.name in entry_points.values()}
    assert {name for kind, name in provided if kind == "probes"} == set(entry_points)
    assert ("figures", "tails") in provided
