"""Whatever a document holds, reading it ends in entries or in one error with one line."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animal_classification.data.recognitions import read_recognitions
from animal_classification.errors import AnimalsError

WORDS = [
    *("images", "detections", "detection_categories", "classification_categories", "classifications", "file", "path"),
    *("filepath", "file_name", "failure", "bbox", "bbox_relative", "conf", "confidence", "category", "label", "frame"),
    *("frame_number", "info", "format_version", "detector", "predictions", "prediction", "processed_classification"),
    *("raw_classifications", "classes", "scores", "class", "score", "annotations", "categories", "id", "name"),
    *("image_id", "category_id", "width", "height", "resources", "media", "observations", "detector_metadata"),
]
keys = st.sampled_from(WORDS) | st.text(max_size=3)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["1", "0", "2", "animal", "person", "empty", "a.jpg", "media.csv", "1.6", "3.0", "a;b;c;d;e;f;g"])
    | st.text(max_size=4)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5), max_leaves=20
)
box = st.lists(st.floats(-0.5, 1.5) | scalars, min_size=3, max_size=5)
detection = st.fixed_dictionaries(
    {"bbox": box},
    optional={
        "category": st.sampled_from(["1", "0", "animal", 2]) | values,
        "conf": st.floats(0, 1) | values,
        "classifications": st.lists(st.lists(scalars, min_size=2, max_size=2), max_size=2) | values,
        "processed_classification": values,
        "frame_number": scalars,
        "image_id": st.sampled_from(["i", 1]),
        "category_id": st.sampled_from([0, 1, "x"]),
    },
)
picture = st.fixed_dictionaries(
    {"detections": st.lists(detection, max_size=3) | values},
    optional={
        "file": st.sampled_from(["a.jpg", "b\\c.jpg"]) | scalars,
        "filepath": st.just("a.jpg") | scalars,
        "file_name": st.just("a.jpg") | scalars,
        "path": st.just("a.jpg") | scalars,
        "failure": scalars,
        "id": st.sampled_from(["i", 1]),
        "width": scalars,
        "height": scalars,
    },
)
documents = (
    values
    | st.lists(picture, max_size=3)
    | st.fixed_dictionaries(
        {},
        optional={
            "images": st.lists(picture, max_size=3),
            "predictions": st.lists(picture, max_size=3),
            "annotations": st.lists(detection, max_size=3),
            "categories": st.lists(st.fixed_dictionaries({"id": scalars, "name": scalars}), max_size=3),
            "detection_categories": st.dictionaries(st.sampled_from(["0", "1", "2"]), scalars) | values,
            "classification_categories": values,
            "info": values,
            "resources": values,
        },
    )
)


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "found.json"


def check(file: Path) -> None:
    try:
        found = read_recognitions(file)
        for entry in found:
            boxes = found.of(entry.name, (640, 480)) or ()
            for one in boxes:
                assert 0 <= one.confidence <= 1
                assert one.width > 0 < one.height
                assert 0 <= one.x < one.x + one.width <= 1 + 1e-9
                assert 0 <= one.y < one.y + one.height <= 1 + 1e-9
        found.match(entry.name for entry in found)
    except AnimalsError as error:
        assert "\n" not in str(error)
        assert str(error)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(documents)
def test_any_document_ends_in_entries_or_in_one_error(file: Path, document: Any) -> None:
    file.write_text(json.dumps(document), encoding="utf-8")
    check(file)


@settings(max_examples=100)
@given(st.binary(max_size=60), st.sampled_from([b"{", b"[", b"\xef\xbb\xbf{", b"PK\x03\x04", b""]))
def test_any_bytes_end_in_one_error(file: Path, tail: bytes, head: bytes) -> None:
    file.write_bytes(head + tail)
    check(file)


@settings(max_examples=100)
@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=6), max_size=4))
def test_any_table_ends_in_entries_or_in_one_error(file: Path, rows: list[list[str]]) -> None:
    table = file.with_name("found.csv")
    header = "FilePath,category,conf,bbox1,bbox2,bbox3,bbox4,prediction"
    body = [",".join(json.dumps(cell, ensure_ascii=False) for cell in row) for row in rows]
    table.write_text("\n".join([header, *body]), encoding="utf-8", newline="")
    check(table)
