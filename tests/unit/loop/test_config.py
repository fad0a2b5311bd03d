"""``loop.yaml`` from a stranger: one line, whatever it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from animal_classification.errors import UsageError
from animal_classification.loop.config import load_config

LAUGHS = "\n".join(["a0: &a0 [ha]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 5000, "is no YAML"),
        ("model: zoo\ndata: 2026-99-99", "is no YAML"),
        (f"{LAUGHS}\nmodel: *a8\ndata: x", "model is "),
        (f"{LAUGHS}\nmodel: zoo\ndata: x\nlog: {{folder: *a8}}", "log.folder is "),
        ("model: &m [*m]\ndata: x", "model is "),
        ("- model", "is no mapping"),
        ("model: ../../x\ndata: x", "model is '../../x'"),
        ("!!python/object/apply:os.system ['true']", "is no YAML"),
    ],
    ids=["nested", "no date", "laughs", "laughs below", "circle", "list", "path", "code"],
)
def test_what_it_must_not_say_is_named_in_one_line(text: str, why: str, tmp_path: Path) -> None:
    """Yesterday a kilobyte of aliases was printed as the gigabyte that it stands for."""
    file = tmp_path / "loop.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=why) as caught:
        load_config(file)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2000
