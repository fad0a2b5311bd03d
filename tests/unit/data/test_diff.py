"""What has changed between two states of a data set, and how it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from animal_classification.data.diff import compare, text_lines
from animal_classification.data.manifest import Manifest, ManifestRow


def manifest(*rows: tuple[str, str, str]) -> Manifest:
    return Manifest.of([ManifestRow(path=path, label=label, sha256=content) for path, label, content in rows], Path())


def test_what_came_went_and_changed() -> None:
    before = manifest(("a.png", "cat", "a"), ("b.png", "cat", "b"), ("c.png", "dog", "c"))
    after = manifest(("a.png", "cat", "a"), ("new/b.png", "dog", "b"), ("d.png", "red_fox", "d"))
    lines = text_lines(compare(before, after))
    assert lines[4:7] == ["| cat | 2 | 1 | 0 | 0 |", "| dog | 1 | 1 | 0 | 1 |", "| red_fox | 0 | 1 | 1 | 0 |"]
    assert "- new/b.png: cat -> dog" in lines


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<img src=x>", r"\<img src=x>"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        ("![](https://a.test/x.png)", r"!\[\](https://a.test/x.png)"),
        ("`*~\\", "\\`\\*\\~\\\\"),
        ("two\nlines\r\n", "two lines"),
    ],
)
def test_a_name_cannot_be_markdown(name: str, shown: str) -> None:
    lines = text_lines(compare(manifest(), manifest(("x.png", name, "x"))))
    assert lines[4:] == [f"| {shown} | 0 | 1 | 1 | 0 |"]
