"""Labels that come back from a stranger: whatever is in the file, there are labels, or one error of one line."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animal_classification.data.exchange import cvat
from animal_classification.data.exchange.imported import PhotosBeside
from animal_classification.data.exchange.reader import read_labels
from animal_classification.data.manifest import ManifestRow
from animal_classification.errors import AnimalsError, UsageError

HASH = "ab" * 32
WORDS = (
    *("data", "annotations", "result", "value", "choices", "type", "from_name", "animal", "sha256", "image"),
    *("was_cancelled", "updated_at", "completed_by", "email", "id", "classes", "labels", HASH),
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([HASH, f"/data/{HASH}.jpg", "choices", "animal", "cat", "2026-11-30T01:02:03Z", "0001-01-01"])
    | st.text(max_size=4)
)
keys = st.sampled_from(WORDS) | st.text(max_size=2)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
result = st.fixed_dictionaries(
    {"type": st.just("choices") | scalars, "from_name": st.just("animal") | scalars, "value": values}
)
annotation = st.fixed_dictionaries(
    {"result": st.lists(result, max_size=2) | values}, optional=dict.fromkeys(set(WORDS) - {"result"}, values)
)
task = st.fixed_dictionaries(
    {"data": st.fixed_dictionaries({"sha256": st.just(HASH) | values}) | values},
    optional={"annotations": st.lists(annotation, max_size=2) | values, "animal": values, "sha256": st.just(HASH)},
)
documents = (
    values
    | st.lists(task | values, max_size=3)
    | st.fixed_dictionaries({"classes": values, "labels": st.dictionaries(st.just(HASH), values, max_size=2) | values})
)


def read_or_one_line(file: Path) -> list[Any]:
    try:
        labels = read_labels(file)
    except AnimalsError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
        return []
    for one in labels:
        assert one.label == " ".join(one.label.split()) != ""
        assert len(one.sha256) == 64
    return labels


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(document=documents)
def test_any_json(document: Any, tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    read_or_one_line(file)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text("ab,;\t\"'\n\r\x00ä=-", max_size=60),
    head=st.sampled_from(["sha256,label", "label", "sha256;animal", ""]),
)
def test_any_table(text: str, head: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(f"{head}\n{HASH},{text}".encode("utf-8", "replace"))
    read_or_one_line(file)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6), cut=st.integers(0, 60)
)
def test_any_damaged_zip_and_xml(damage: list[tuple[int, int]], cut: int, tmp_path: Path) -> None:
    file = tmp_path / "labels.zip"
    xml = f'<annotations><image name="{HASH}.jpg"><tag label="cat"/></image></annotations>'.encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", xml)
    for path, data in ((file, bytearray(file.read_bytes())), (tmp_path / "labels.xml", bytearray(xml))):
        for place, value in damage:
            data[place % len(data)] = value
        path.write_bytes(data[: len(data) - cut])
        read_or_one_line(path)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(
    "declared",
    [
        f"<!DOCTYPE a [{LAUGHS}]>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://localhost:1/a.dtd">',
    ],
)
@pytest.mark.parametrize("before", ["", f"<!--{'x' * 5000}-->"], ids=["at once", "behind a long comment"])
def test_nothing_is_declared(declared: str, before: str, encoding: str, tmp_path: Path) -> None:
    """Yesterday only the first 4,096 bytes were looked at, and only as ASCII."""
    file = tmp_path / "annotations.xml"
    name = "utf-16" if encoding.startswith("utf-16") else encoding
    head = "" if encoding == "utf-16-le" else f'<?xml version="1.0" encoding="{name}"?>'
    text = f'{head}{before}{declared}<annotations><image name="{HASH}.jpg"><tag label="&l9;"/></image></annotations>'
    file.write_bytes((b"\xff\xfe" if encoding == "utf-16-le" else b"") + text.encode(encoding))
    with pytest.raises(UsageError, match="declares entities, or a document type"):
        read_labels(file)


def test_a_zip_with_a_password_or_packed_in_an_unknown_way(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("annotations.xml", b"<annotations/>")
    data = file.read_bytes()
    for place, value in ((6, 1), (8, 97)):  # flags, and the way of packing, of the member itself
        changed = bytearray(data)
        changed[place] = value
        central = data.index(b"PK\x01\x02")
        changed[central + place + 2] = value
        file.write_bytes(changed)
        with pytest.raises(UsageError, match="cannot read"):
            read_labels(file)


def test_photos_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Yesterday the folder was listed anew for each label: hours for a hundred thousand."""
    hashes = [f"{number:064x}" for number in range(300)]
    (tmp_path / "photos").mkdir()
    for one in hashes:
        (tmp_path / "photos" / f"{one}.jpg").touch()
    listed: list[Any] = []
    scan = os.scandir

    def counted(place: Any) -> Any:
        listed.append(place)
        return scan(place)

    monkeypatch.setattr(os, "scandir", counted)
    (tmp_path / "labels.json").write_text(json.dumps({"classes": ["cat"], "labels": dict.fromkeys(hashes, 0)}))
    labels = read_labels(tmp_path / "labels.json")
    assert [one.file and one.file.name for one in labels] == [f"{one}.jpg" for one in hashes]
    assert len(listed) <= 3


def test_a_photo_is_a_file_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "data" / f"{HASH}.jpg").mkdir(parents=True)
    (tmp_path / f"{HASH}.png").touch()
    (tmp_path / f"x{HASH}.png").touch()
    assert PhotosBeside(tmp_path).find(HASH) == tmp_path / f"{HASH}.png"
    assert PhotosBeside(tmp_path).find("cd" * 32) is None


@pytest.mark.parametrize("label", ["..", ".", "../../x", "a\\..\\..\\b", "/etc", "C:\\x", " .. ", "a\x00b"])
def test_an_export_leads_nowhere_when_it_is_unpacked(label: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    name = f"photos/{HASH}.jpg"
    (tmp_path / name).write_bytes(b"x")
    row = ManifestRow(path="a.jpg", label=label, sha256=HASH, width=1, height=1)
    cvat.write(tmp_path, [(row, name)], [label])
    with zipfile.ZipFile(tmp_path / cvat.ARCHIVE) as archive:
        (member,) = archive.namelist()
        folder, file = member.split("/")
        assert folder.strip(". ")
        assert file.endswith(f"_{HASH}.jpg")
    assert [one.sha256 for one in cvat.read_xml((tmp_path / cvat.ANNOTATIONS).read_bytes(), tmp_path / "x")] == [HASH]
