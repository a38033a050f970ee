"""The rules of the source tree, as functions from parsed modules to the list of their violations.

Nothing is imported: the files are parsed. :mod:`test_architecture` applies the rules to the real tree, and to miniature
trees that break them.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "grokprobe"
TASKS = "grokprobe_tasks"
COMMAND_LINE = ("grokprobe.cli", "grokprobe.__main__")
MAX_LINES = 300
HOMELESS = frozenset({"utils", "util", "helpers", "helper", "misc", "common", "core", "base"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One parsed source file."""

    #: Dotted name.
    name: str
    #: Its text.
    source: str
    #: Its syntax tree.
    tree: ast.Module
    #: Dotted names it imports anywhere: modules of the tree as such, else as written.
    imports: frozenset[str]


Modules = Mapping[str, Module]


def parse_tree(*roots: Path) -> dict[str, Module]:
    """Returns every module below ``roots``, directories that hold packages."""
    paths = {_module_name(path.relative_to(root)): path for root in roots for path in sorted(root.rglob("*.py"))}
    modules = {}
    for name, path in paths.items():
        source = path.read_text()
        tree = ast.parse(source, filename=str(path))
        imports = frozenset(_imported(tree, paths))
        modules[name] = Module(name=name, source=source, tree=tree, imports=imports)
    return modules


def _module_name(path: Path) -> str:
    return ".".join(part for part in path.with_suffix("").parts if part != "__init__")


def _imported(tree: ast.AST, known: Collection[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = node.module or ""
            for alias in node.names:
                child = f"{parent}.{alias.name}"
                yield child if child in known else parent


def is_within(name: str, package: str) -> bool:
    """Whether ``name`` is ``package`` or lies in it."""
    return name == package or name.startswith(f"{package}.")


def find_layer_violations(modules: Modules, layers: Sequence[Collection[str]]) -> list[str]:
    """A module of the package imports only from its own line of ``layers`` or lines above it.

    The root module and ``__main__`` stand below all lines. A module that is on no line is a violation.
    """
    line_of = {f"{PACKAGE}.{name}": number for number, line in enumerate(layers) for name in line}
    bottom = len(layers)

    def line(name: str) -> int | None:
        if name in (PACKAGE, f"{PACKAGE}.__main__"):
            return bottom
        return line_of.get(".".join(name.split(".")[:2]))

    violations = []
    for module in _of_package(modules):
        own = line(module.name)
        if own is None:
            violations.append(f"{module.name} is on no line of the layers")
            continue
        for imported in sorted(module.imports):
            other = line(imported) if is_within(imported, PACKAGE) else None
            if other is not None and other > own:
                violations.append(f"{module.name} imports {imported}, which lies below it")
    return violations


def find_cycles(modules: Modules) -> list[str]:
    """No module imports itself through others."""
    state: dict[str, bool] = {}  # True while on the path, False when done
    cycles = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if state.get(name):
            cycles.append("import cycle: " + " -> ".join((*path[path.index(name) :], name)))
        if name in state:
            return
        state[name] = True
        for imported in sorted(modules[name].imports & modules.keys()):
            visit(imported, (*path, name))
        state[name] = False

    for name in sorted(modules):
        visit(name, ())
    return cycles


def find_task_imports(modules: Modules) -> list[str]:
    """The package knows no task."""
    return [
        f"{module.name} imports {imported}"
        for module in _of_package(modules)
        for imported in sorted(module.imports)
        if is_within(imported, TASKS)
    ]


def find_forbidden_imports(modules: Modules, package: str, forbidden: Collection[str]) -> list[str]:
    """Nothing within ``package`` imports one of the libraries ``forbidden``."""
    return [
        f"{module.name} imports {library}"
        for module in modules.values()
        if is_within(module.name, package)
        for library in _libraries(module, forbidden)
    ]


def find_stray_imports(modules: Modules, library: str, allowed: Collection[str]) -> list[str]:
    """Only the packages ``allowed`` import ``library``."""
    return [
        f"{module.name} imports {library}; only {', '.join(sorted(allowed))} may"
        for module in modules.values()
        if not any(is_within(module.name, package) for package in allowed) and list(_libraries(module, {library}))
    ]


def find_reached(modules: Modules, package: str, library: str) -> list[str]:
    """Importing ``package`` does not import ``library``, directly or through other modules."""
    queue: list[tuple[str, tuple[str, ...]]] = [(name, (name,)) for name in sorted(modules) if is_within(name, package)]
    seen = {name for name, _ in queue}
    violations = []
    while queue:
        name, path = queue.pop(0)
        if list(_libraries(modules[name], {library})):
            violations.append(f"{' -> '.join(path)} imports {library}")
        for imported in sorted((modules[name].imports & modules.keys()) - seen):
            seen.add(imported)
            queue.append((imported, (*path, imported)))
    return violations


def find_output(modules: Modules) -> list[str]:
    """Only the command line prints or exits."""
    violations = []
    for module in modules.values():
        if any(is_within(module.name, package) for package in COMMAND_LINE):
            continue
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name in {"print", "exit", "quit", "sys.exit", "os._exit", "SystemExit"}:
                violations.append(f"{module.name}, line {node.lineno}: {name}(); only the command line prints or exits")
    return violations


def find_inner_imports(modules: Modules) -> list[str]:
    """Inside a function nothing of the package is imported, but for the two lazy tables."""
    violations = []
    for module in modules.values():
        if module.name == PACKAGE or is_within(module.name, COMMAND_LINE[0]):
            continue
        functions = [n for n in ast.walk(module.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        names = {name for function in functions for name in _imported(function, modules)}
        violations += [
            f"{module.name} imports {name} inside a function; imports stand at the top"
            for name in sorted(names)
            if is_within(name, PACKAGE) or is_within(name, TASKS)
        ]
    return violations


def find_homeless_names(modules: Modules) -> list[str]:
    """No file or directory has a name that says nothing."""
    return [
        f"{module.name}: {word!r} names no idea; find the noun"
        for module in modules.values()
        for word in sorted(set(re.split(r"[._]", module.name)) & HOMELESS)
    ]


def find_unsafe_loading(modules: Modules) -> list[str]:
    """Nothing reads a pickle, or asks a library to, without restriction."""
    violations = []
    for module in modules.values():
        for node in ast.walk(module.tree):
            fault = _unsafe_call(node) if isinstance(node, ast.Call) else _unsafe_name(node)
            if fault:
                violations.append(f"{module.name}: {fault}; a file is data and is never executed")
    return violations


def _unsafe_call(call: ast.Call) -> str:
    name = ast.unparse(call.func)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name in {"pickle.load", "pickle.loads"}:
        return f"{name}()"
    if keywords.get("weights_only", "True") != "True":
        return f"{name}(weights_only={keywords['weights_only']})"
    if keywords.get("allow_pickle", "False") != "False":
        return f"{name}(allow_pickle={keywords['allow_pickle']})"
    if name == "torch.load" and "weights_only" not in keywords:
        return "torch.load() without weights_only=True"
    return ""


def _unsafe_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and ast.unparse(node) == "pickle.Unpickler":
        return "pickle.Unpickler, which grokprobe.inert_pickle is there to replace"
    if isinstance(node, ast.ImportFrom) and node.module in {"pickle", "torch"}:
        names = sorted({alias.name for alias in node.names} & {"load", "loads", "Unpickler"})
        return f"from {node.module} import {', '.join(names)}" if names else ""
    return ""


def find_undocumented(modules: Modules) -> list[str]:
    """Every public module says what it is."""
    return [
        f"{module.name} has no docstring"
        for module in modules.values()
        if not module.name.rpartition(".")[2].startswith("_") and not ast.get_docstring(module.tree)
    ]


def find_long_files(modules: Modules) -> list[str]:
    """No file is longer than one idea needs."""
    lengths = {module.name: len(module.source.splitlines()) for module in modules.values()}
    return [
        f"{name} has {length} lines, more than {MAX_LINES}" for name, length in lengths.items() if length > MAX_LINES
    ]


def _of_package(modules: Modules) -> list[Module]:
    return [module for module in modules.values() if is_within(module.name, PACKAGE)]


def _libraries(module: Module, libraries: Collection[str]) -> Iterator[str]:
    yield from sorted({name.partition(".")[0] for name in module.imports} & set(libraries))
