"""Every file that the package opens by number is binary: Windows would write two characters for a newline."""

from __future__ import annotations

import ast

from tests.unit.test_project_files import PACKAGE


def without_the_flag(source: str) -> list[int]:
    """The lines that call ``os.open`` and do not name ``O_BINARY``; also those that could hide such a call."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "os" and any(name.name == "open" for name in node.names):
            found.append(node.lineno)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "os.open":
            # The flags may be in a variable: the function that holds the call has to name the flag then.
            holder = _holder(source, node)
            if "O_BINARY" not in ast.unparse(node) and "O_BINARY" not in holder:
                found.append(node.lineno)
    return found


def _holder(source: str, call: ast.Call) -> str:
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    around = [node for node in functions if node.lineno <= call.lineno <= (node.end_lineno or 0)]
    return ast.unparse(max(around, key=lambda node: node.lineno)) if around else ""


def test_every_file_that_is_opened_by_number_is_binary() -> None:
    files = {path: without_the_flag(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    assert len(files) > 200
    assert {path: lines for path, lines in files.items() if lines} == {}


def test_the_rule_finds_what_it_is_for() -> None:
    assert without_the_flag("import os\nos.open('a', os.O_RDONLY)") == [2]
    assert without_the_flag("from os import open") == [1]
    assert without_the_flag("import os\nos.open('a', os.O_RDONLY | getattr(os, 'O_BINARY', 0))") == []
    assert without_the_flag("import os\ndef read():\n    flags = os.O_BINARY\n    os.open('a', flags)") == []
