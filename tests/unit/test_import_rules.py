"""What import-linter does not see: imports by a module's name in a string, and imports inside functions."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "animal_classification"
# The command line that a trial of Vertex starts as a process of its own.
AS_PROCESSES = {("cloud.vertex_trial", "cli")}
# Names of loggers and tracers, which look like modules.
NO_IMPORTS = {"serving.observability.json_logs", "serving.observability.tracing", "tracking.factory"}


def modules() -> dict[str, Path]:
    source = ROOT / "src"
    paths = (path for path in (source / PACKAGE).rglob("*.py"))
    return {".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


MODULES = modules()


def short(name: str) -> str:
    return name.removeprefix(PACKAGE).removeprefix(".")


def at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from at_run_time(node)


def named(node: ast.AST) -> list[str]:
    """Modules of ours that a node imports, or names in a string."""
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
        both = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in MODULES else node.module for name in both]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name in MODULES]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in MODULES:
        return [node.value]
    return []


def edges() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for module, path in MODULES.items():
        for node in at_run_time(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and short(module) in NO_IMPORTS:
                continue
            for name in named(node):
                if name not in (module, PACKAGE) and (short(module), short(name)) not in AS_PROCESSES:
                    found[module].add(name)
    return found


def layers() -> dict[str, int]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (rooms,) = [contract for contract in contracts if contract["id"] == "rooms"]
    return {room.strip(" ()"): place for place, line in enumerate(rooms["layers"]) for room in line.split("|")}


def room(module: str) -> str:
    return short(module).split(".")[0]


def test_no_import_goes_up_not_even_by_a_string_or_in_a_function() -> None:
    height = layers()
    wrong = [
        f"{short(module)} -> {short(name)}"
        for module, names in edges().items()
        for name in names
        if room(module) and room(module) != room(name) and height.get(room(module), 0) >= height[room(name)]
    ]
    assert not wrong, "import these from below, or move them up"


def test_there_is_no_cycle_not_even_through_functions() -> None:
    try:
        TopologicalSorter(edges()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(map(short, error.args[1])))


def imports_in_functions(tree: ast.AST) -> bool:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(isinstance(node, ast.Import | ast.ImportFrom) for function in functions for node in ast.walk(function))


def test_who_imports_inside_a_function_says_why() -> None:
    silent = [
        short(module)
        for module, path in MODULES.items()
        if path.name != "__init__.py"
        and imports_in_functions(ast.parse(text := path.read_text(encoding="utf-8")))
        and not re.search(r"^# Imported where (it is|they are) used: ", text, flags=re.MULTILINE)
    ]
    assert not silent, "one line at the top of the module: '# Imported where they are used: ' and the reason"


def test_a_class_name_means_one_thing() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(short(module))
    assert not {name: places for name, places in found.items() if len(places) > 1}
