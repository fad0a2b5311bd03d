"""Fixtures for the bundle room: a valid bundle to damage, and files to write another one from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from animal_classification.bundle import BundleInfo, load
from tests.support.tiny_bundle import write_tiny_bundle

Edit = Callable[[Callable[[dict[str, Any]], object]], None]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny")


@pytest.fixture
def edit(tiny: Path) -> Edit:
    """Changes the tiny bundle's bundle.json in place."""

    def apply(change: Callable[[dict[str, Any]], object]) -> None:
        path = tiny / "bundle.json"
        document = json.loads(path.read_bytes())
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")

    return apply


@pytest.fixture
def info(tiny: Path) -> BundleInfo:
    return load(tiny).info


@pytest.fixture
def files(tiny: Path) -> dict[str, bytes | Path]:
    return {name: tiny / name for name in load(tiny).info.files}


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in memory, which all tests of a process share: emptied before and after."""
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    yield filesystem
    filesystem.store.clear()
