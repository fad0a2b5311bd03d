"""Every way in which bundle.json can be wrong, and the one line that says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animal_classification.bundle import BundleInfo, load
from animal_classification.bundle.document import parse_info, to_bytes
from animal_classification.errors import BundleInvalidError, BundleVersionError

Change = Callable[[dict[str, Any]], object]
HASH = "0" * 64

CASES: dict[str, tuple[Change, str]] = {
    "missing key": (lambda d: d.pop("data"), "data: this key is missing"),
    "unknown key": (lambda d: d.update(metric={}), "metric: no such key; allowed are background, calibration, code"),
    "unknown inner key": (
        lambda d: d["labels"][1].update(nme="x"),
        "labels.1.nme: no such key; allowed are group, id, lineage, name, taxon",
    ),
    "word not allowed": (
        lambda d: d["preprocess"].update(interpolation="cubic"),
        "preprocess.interpolation: Input should be 'bicubic', 'bilinear', 'lanczos' or 'nearest' (got 'cubic')",
    ),
    "out of range": (
        lambda d: d["preprocess"].update(size=3),
        "preprocess.size: Input should be greater than or equal",
    ),
    "two problems": (lambda d: d["preprocess"].update(size=3, crop_pct=2), "(got 3) (and 1 more)"),
    "no labels": (lambda d: d.update(labels=[]), "labels: Tuple should have at least 1 item"),
    "same name twice": (lambda d: d["labels"][1].update(name="cat"), "labels: the name 'cat' is there twice"),
    "same id twice": (lambda d: d["labels"][1].update(id="cat-id"), "labels: the id 'cat-id' is there twice"),
    "label also background": (
        lambda d: d.update(background=[{"id": "cat-id", "name": "x"}]),
        "labels: the id 'cat-id' is there twice",
    ),
    "no background to judge by": (
        lambda d: d["unknown"].update(method="background"),
        "unknown.method: 'background' needs classes under the key background; use 'max_probability'",
    ),
    "bad hash": (lambda d: d["files"].update(x="12"), "files.x: String should match pattern"),
    "lists itself": (lambda d: d["files"].update({"bundle.json": HASH}), "bundle.json cannot list itself"),
    "no version": (lambda d: d.pop("schema_version"), "schema_version: a whole number up to 1 is needed (got None)"),
    "version is a word": (lambda d: d.update(schema_version="1"), "is needed (got '1')"),
    "version too old": (lambda d: d.update(schema_version=0), "schema_version 0 cannot be read any more"),
    "half a surrogate pair": (lambda d: d.update(license="\ud800"), "not readable as JSON"),
    "infinity": (lambda d: d["calibration"].update(temperature=float("inf")), "Infinity is not JSON"),
}

ESCAPES = [
    "../x",
    "a/../../x",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a//b",
    "a/",
    "..\\x",
    "a\\b",
    "C:x",
    "C:/x",
    "\\\\host\\x",
]
ESCAPES += ["~/x", "a\n", "a\0b", ".hidden", "a/.git/config", "%2e%2e/x", "a b", "café", "x?y", "gs://x"]


@pytest.mark.parametrize(("change", "message"), CASES.values(), ids=CASES)
def test_what_is_wrong_is_said_in_one_line(tiny: Path, change: Change, message: str) -> None:
    document = json.loads((tiny / "bundle.json").read_bytes())
    change(document)
    with pytest.raises(BundleInvalidError) as caught:
        parse_info(json.dumps(document).encode(), "zoo/bundle.json")
    assert str(caught.value).startswith("zoo/bundle.json: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_could_leave_the_bundle_is_refused(tiny: Path, name: str) -> None:
    document = json.loads((tiny / "bundle.json").read_bytes())
    document["files"][name] = HASH
    with pytest.raises(BundleInvalidError, match="is refused: allowed are relative names") as caught:
        parse_info(json.dumps(document).encode(), "zoo/bundle.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}'])
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(BundleInvalidError, match=r"zoo: not readable as JSON .*; copy or export the bundle again"):
        parse_info(data, "zoo")


@pytest.mark.parametrize("data", [b"[]", b"1", b"null", b'"x"'])
def test_json_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(BundleInvalidError, match="an object"):
        parse_info(data, "zoo")


def test_a_newer_document_says_to_upgrade(tiny: Path, edit: Callable[[Change], None]) -> None:
    edit(lambda document: document.update(schema_version=2, something_new=True))
    with pytest.raises(BundleVersionError, match=r"schema_version 2 is newer .*upgrade it: pip install"):
        load(tiny)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), Path()])
def test_only_json_can_be_written(info: BundleInfo, value: object) -> None:
    changed = info.model_copy(update={"metrics": {"accuracy": value}})
    if isinstance(value, Path):  # pydantic knows how to write these as text
        assert b'"accuracy": "."' in to_bytes(changed, "zoo")
        return
    with pytest.raises(BundleInvalidError, match="zoo: config and metrics may hold plain JSON values only"):
        to_bytes(changed, "zoo")


def test_the_example_in_the_docs_is_valid() -> None:
    page = (Path(__file__).parents[3] / "docs" / "bundle.md").read_text(encoding="utf-8")
    example = page.split("```json\n")[1].split("```")[0]
    info = parse_info(example.encode(), "docs/bundle.md")
    assert json.loads(to_bytes(info, "docs/bundle.md")) == json.loads(example)  # it shows every key
