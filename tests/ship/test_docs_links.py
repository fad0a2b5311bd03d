"""The check of the site's links finds what leads nowhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools/docs"


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("other/", ""),
        ("other/#part", ""),
        ("https://example.org/", ""),
        ("other/#gone", "there is no such place on the page"),
        ("gone/", "there is nothing"),
        ("../outside.html", "there is nothing"),
    ],
)
def test_broken_links_are_found(tmp_path: Path, link: str, problem: str) -> None:
    site = tmp_path / "site"
    (site / "other").mkdir(parents=True)
    (site / "index.html").write_text(f'<a href="{link}">x</a>', encoding="utf-8")
    (site / "other/index.html").write_text('<h2 id="part">y</h2>', encoding="utf-8")
    (tmp_path / "outside.html").write_text("", encoding="utf-8")
    code = "import links, pathlib, sys; print(*links.check(pathlib.Path(sys.argv[1])), sep='|')"
    words = [sys.executable, "-c", code, str(site)]
    done = subprocess.run(words, cwd=TOOLS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (f"index.html: {link}: {problem}" if problem else "")
