"""Addresses: what is local, what fsspec reaches, and what is said of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec.core
import pytest

from animal_classification.common.urls import in_a_line, open_url
from animal_classification.errors import MissingExtraError, UsageError


def test_a_local_one_is_a_path(tmp_path: Path) -> None:
    assert open_url(tmp_path.as_uri(), "reading") == tmp_path
    found = open_url("memory://bucket/zoo", "reading")
    assert not isinstance(found, Path)
    assert found[0].protocol == "memory"
    assert found[1] == "/bucket/zoo"


@pytest.mark.parametrize(("protocol", "extra"), [("gs", "gcs"), ("s3", "s3"), ("https", "http")])
def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, protocol: str, extra: str) -> None:
    def missing(*_: object, **__: object) -> Any:
        raise ImportError("Please install a package")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=f"reading {protocol}:// addresses needs an extra") as caught:
        open_url(f"{protocol}://x", "reading")
    assert caught.value.extra == extra
    with pytest.raises(UsageError, match=r"^odd://x: Please install a package$"):
        open_url("odd://x", "reading")


def test_an_unknown_kind() -> None:
    with pytest.raises(UsageError, match=r"^odd://x: Protocol not known: odd; a folder, gs://, s3:// or"):
        open_url("odd://x", "reading")


@pytest.mark.parametrize(("said", "line"), [("no\nroute", "OSError: no"), ("  ", "OSError"), ("", "OSError")])
def test_one_line(said: str, line: str) -> None:
    assert in_a_line(OSError(said)) == line
