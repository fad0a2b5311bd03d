"""Older documents are read through a chain of steps; newer ones are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animal_classification.bundle import document, load, upgrade
from animal_classification.errors import BundleInvalidError, BundleVersionError

Change = Callable[[dict[str, Any]], object]


def test_an_older_bundle_is_read(tiny: Path, edit: Callable[[Change], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """As if version 0 had called the labels classes, and version -1 had kept the size at the top."""

    def make_old(document: dict[str, Any]) -> None:
        document.update(schema_version=-1, classes=document.pop("labels"), size=document["preprocess"].pop("size"))

    def from_minus_one(document: dict[str, Any]) -> dict[str, Any]:
        size = document.pop("size")
        return {**document, "preprocess": {**document["preprocess"], "size": size}}

    def from_zero(document: dict[str, Any]) -> dict[str, Any]:
        labels = document.pop("classes")
        return {**document, "labels": labels}

    expected = load(tiny).info
    edit(make_old)
    monkeypatch.setattr(document, "STEPS", {-1: from_minus_one, 0: from_zero})
    assert load(tiny).info == expected


def test_the_document_given_is_left_alone() -> None:
    document = {"schema_version": 0}
    steps = {0: lambda old: {**old, "added": 1}}
    assert upgrade(document, steps) == {"schema_version": 1, "added": 1}
    assert document == {"schema_version": 0}


def test_the_current_version_needs_no_step() -> None:
    assert upgrade({"schema_version": 1, "a": 1}) == {"schema_version": 1, "a": 1}


def test_a_gap_in_the_chain_is_said() -> None:
    with pytest.raises(BundleInvalidError, match="schema_version -1 cannot be read any more; export the model again"):
        upgrade({"schema_version": -1}, {0: dict})


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(BundleVersionError, match="schema_version 7 is newer than this package reads"):
        upgrade({"schema_version": 7})


@pytest.mark.parametrize("version", [None, True, 1.0, "1", [1]])
def test_a_version_is_a_whole_number(version: object) -> None:
    with pytest.raises(BundleInvalidError, match="a whole number up to 1 is needed"):
        upgrade({"schema_version": version})
