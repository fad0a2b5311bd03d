"""Data that DVC tracks: told of the new photos, and never committed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path


def track(root: Path) -> str | None:
    """Let DVC take in a folder that it tracks already.

    Args:
        root: The folder of the data.

    Returns:
        What a person should type next; ``None`` where DVC has nothing to do with the folder.
    """
    pointer = root.absolute().with_name(f"{root.absolute().name}.dvc")
    if not pointer.is_file():
        return None
    add = f"dvc add {shlex.quote(str(root))}"
    commit = f"git add {shlex.quote(str(pointer))} && git commit"
    program = shutil.which("dvc")
    if program is None:
        return f"{add} && {commit}"
    words = [program, "add", "--quiet", str(root.absolute())]
    done = subprocess.run(words, cwd=pointer.parent, capture_output=True, text=True, check=False)  # noqa: S603 - the user's own dvc
    return commit if done.returncode == 0 else f"{add} && {commit}"
