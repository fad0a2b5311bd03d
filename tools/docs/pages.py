"""Put the pages together: docs/, and what lies beside it in the checkout, under names of the site."""

from __future__ import annotations

import os
import re
import shutil
from functools import partial
from pathlib import Path

MOVED = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md"}
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")


def assemble(root: Path, target: Path) -> None:
    """Copy, and lead links out of docs/ to where their pages are on the site."""
    shutil.copytree(root / "docs", target)
    for name, page in MOVED.items():
        shutil.copyfile(root / name, target / page)
    for page in target.rglob("*.md"):
        origin = root / "docs" / page.relative_to(target)
        if page.name in MOVED.values() and page.parent == target:
            origin = root / page.name.upper().replace(".MD", ".md")
        text = page.read_text(encoding="utf-8")
        page.write_text(_LINK.sub(partial(_led, origin, page, root, target), text), encoding="utf-8")


def _led(origin: Path, page: Path, root: Path, target: Path, link: re.Match[str]) -> str:
    words, address = link[1], link[2]
    path, _, part = address.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return link[0]
    file = (origin.parent / path).resolve()
    part = f"#{part}" if part else ""
    if file.is_relative_to(root / "docs"):
        new = target / file.relative_to(root / "docs")
    elif file.name in MOVED and file.parent == root:
        new = target / MOVED[file.name]
    elif not file.exists():
        # Generated pages exist on the site alone; the check of links sees whether they do.
        return link[0]
    else:
        return words if words.startswith("`") else f"{words} (`{file.relative_to(root)}`)"
    return f"[{words}]({_relative(new, page.parent)}{part})"


def _relative(path: Path, start: Path) -> str:

    return Path(os.path.relpath(path, start)).as_posix()
