"""Byte code for what MODULEs import, or for everything: compile.py [MODULE…]; run by the environment's own Python.

Compiling everything would add 80 MB to the API's image, of which a server never reads three quarters; compiling nothing
would add seconds to each of its starts.
"""

from __future__ import annotations

import compileall
import importlib
import py_compile
import sys
from pathlib import Path


def main(modules: list[str]) -> int:
    prefix = Path(sys.prefix)
    wanted = imported(modules, prefix) if modules else sorted(prefix.rglob("*.py"))
    for file in wanted:
        # Nothing changes here, so nothing has to be compared at a start.
        compileall.compile_file(file, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    compiled = sum(file.stat().st_size for file in prefix.rglob("*.pyc"))
    print(f"compile: {len(wanted)} modules, {compiled / 1e6:.0f} MB of byte code")
    return 0


def imported(modules: list[str], prefix: Path) -> list[Path]:
    """The files that importing these reads, and all of this project: it imports much when the first photo comes."""
    sys.dont_write_bytecode = True
    for module in modules:
        importlib.import_module(module)
    files = {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    own = Path(importlib.import_module("animal_classification").__file__ or "").parent
    files |= set(own.rglob("*.py"))
    return sorted(file for file in files if file.suffix == ".py" and file.is_relative_to(prefix))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
