"""Run a tool of `.venv-dev` from a git hook, on every system: `python tools/hook.py ruff check FILES`.

pre-commit starts this with a Python of its own. The tools themselves come from `.venv-dev`, so a commit is checked with
the versions that CI uses, and a new version has to be pinned in one place only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = Path(__file__).resolve().parents[1] / ".venv-dev"


def program(name: str, environment: Path = ENVIRONMENT, *, windows: bool = os.name == "nt") -> Path:
    """Where an environment keeps a program of that name."""
    return environment / "Scripts" / f"{name}.exe" if windows else environment / "bin" / name


def main(words: list[str]) -> int:
    tool = program(words[0])
    if not tool.is_file():
        print(f"{tool} is missing; run: make dev", file=sys.stderr)
        return 1
    return subprocess.run([tool, *words[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
