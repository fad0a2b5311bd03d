"""Files of some kilobytes that stand for gigabytes: each is refused in one line, while there is memory left."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import xlsxwriter

from animal_classification.common import reading_budget
from animal_classification.common.json_text import load_json
from animal_classification.common.reading_budget import json_memory
from animal_classification.data.manifest import Manifest
from animal_classification.data.recognitions import read_recognitions
from animal_classification.data.tabular import read_table
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.field.deployment_sheet import read_deployments

MEMORY = 256 << 20  # as if the container had so much


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_budget, "available_memory", lambda: MEMORY)


def parquet(path: Path, label: str, rows: int) -> Path:
    """Made in a process of its own, whose memory is not counted."""
    query = f"COPY (SELECT {label} AS label, 'a.jpg' AS path FROM range({rows})) TO '{path}' (COMPRESSION zstd)"
    subprocess.run([sys.executable, "-c", f"import duckdb; duckdb.sql({query!r})"], check=True)
    return path


def equal_values(path: Path) -> Path:
    return parquet(path, "'cat'", 3_000_000)


def one_long_text(path: Path) -> Path:
    return parquet(path, "repeat('x', 100_000)", 4_000)


def opposite_corners(path: Path) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "path")
        sheet.write(1_048_575, 16_383, "label")
    return path


def _sheet(path: Path, xml: bytes, **others: bytes) -> Path:
    """A workbook whose first sheet is this."""
    small = io.BytesIO()
    with xlsxwriter.Workbook(small) as book:
        book.add_worksheet().write(0, 0, "path")
    with zipfile.ZipFile(small) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.namelist():
            content = xml if member == "xl/worksheets/sheet1.xml" else source.read(member)
            target.writestr(member, others.get(member.rpartition("/")[2].partition(".")[0], content))
    return path


_HEAD = b'<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
_TAIL = b"</sheetData></worksheet>"


def corners_without_places(path: Path) -> Path:
    cells = b"<c><v>1</v></c>"
    return _sheet(
        path, _HEAD + b'<row r="1">' + 16_000 * cells + b'</row><row r="1048576">' + cells + b"</row>" + _TAIL
    )


def prefixed_corners(path: Path) -> Path:
    head = _HEAD.replace(b"<worksheet xmlns=", b"<x:worksheet xmlns:x=").replace(b"<sheetData", b"<x:sheetData")
    cell = b"<x:row r='%d'><x:c r='%s%d'><x:v>1</x:v></x:c></x:row>"
    tail = _TAIL.replace(b"</", b"</x:")
    return _sheet(path, head + cell % (1, b"A", 1) + cell % (1_000_000, b"xfd", 1_000_000) + tail)


def endless_strings(path: Path) -> Path:
    xml = b"<sst>" + b"<si><t>" + b"x" * (300 << 20) + b"</t></si></sst>"
    return _sheet(path, _HEAD + _TAIL, sharedStrings=xml)


def commas(path: Path) -> Path:
    path.write_bytes(b"path,label\n" + b"1,1\n" * 2_000_000)
    return path


def lines_of_new_keys(path: Path) -> Path:
    path.write_text("\n".join(json.dumps({f"k{number}": 1}) for number in range(6_000)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (equal_values, "a.parquet"),
        (one_long_text, "b.parquet"),
        (opposite_corners, "c.xlsx"),
        (corners_without_places, "d.xlsx"),
        (prefixed_corners, "e.xlsx"),
        (endless_strings, "f.xlsx"),
        (commas, "g.csv"),
        (lines_of_new_keys, "h.jsonl"),
    ],
)
def test_a_table_is_refused_before_it_fills_the_memory(make: Callable[[Path], Path], name: str, tmp_path: Path) -> None:
    file = make(tmp_path / name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match="would take more memory than there is here") as caught:
        read_table(file)
    assert "\n" not in str(caught.value)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # kilobytes
    assert grown < 2 * MEMORY >> 10, f"{grown >> 10} MB"


def test_a_manifest_of_equal_values_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="more memory than there is"):
        Manifest.read(equal_values(tmp_path / "manifest.parquet"))


def test_a_table_that_people_keep_is_read(tmp_path: Path) -> None:
    """Far apart, but not too far; styled to the end of the sheet; numbers of rows that hold nothing."""
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet = book.add_worksheet()
        bold = book.add_format({"bold": True})
        for row, values in enumerate([("path", "label"), ("a.jpg", "cat"), ("b.jpg", "dog")]):
            sheet.write_row(row, 0, values)
        sheet.write_blank(1_048_575, 16_383, None, bold)
        sheet.set_row(1_000_000, 20)
    assert read_table(tmp_path / "a.xlsx").rows == [["a.jpg", "cat"], ["b.jpg", "dog"]]
    rows = b"".join(b"<row><c t='str'><v>%d.jpg</v></c><c t='str'><v>cat</v></c></row>" % number for number in range(9))
    table = read_table(_sheet(tmp_path / "b.xlsx", _HEAD + rows + _TAIL))
    assert (len(table.rows), table.rows[-1]) == (8, ["8.jpg", "cat"])


def packed(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return path


RESOURCES = [{"name": name, "path": f"{name}.csv"} for name in ("media", "observations")]


@pytest.mark.parametrize(
    "members",
    [
        {"datapackage_json": b"[" + b"{}," * 4_000_000 + b"{}]"},
        {
            "datapackage_json": json.dumps({"resources": RESOURCES}).encode(),
            "media_csv": b"mediaID,filePath\n" + b"1,1\n" * 2_000_000,
            "observations_csv": b"observationType\n",
        },
        {"images_csv": b"deployment_id,image_id\n" + b"1,\n" * 2_000_000},
    ],
)
def test_a_zip_of_a_few_kilobytes(members: dict[str, bytes], tmp_path: Path) -> None:
    file = packed(tmp_path / "package.zip", **members)
    assert file.stat().st_size < 1 << 17
    with pytest.raises(UsageError, match=r"more memory|holds more than"):
        read_recognitions(file)


@pytest.mark.parametrize("text", [b"[" + b"{}," * 3_000_000 + b"0]", b"[" + b"[]," * 3_000_000 + b"0]"])
def test_json_is_bounded_by_what_it_becomes(text: bytes, tmp_path: Path) -> None:
    assert len(text) < 10 << 20
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(UsageError, match="more memory than there is"):
        read_recognitions(tmp_path / "a.json")


@pytest.mark.parametrize(
    "unit", ["{}", "[]", "[0]", '{"ab":1.5}', '"ab"', "1.5", "[[[]]]", '{"a":{"b":[0.1,0.2]}}', "0"]
)
def test_the_estimate_is_no_less_than_what_json_takes(unit: str) -> None:
    """Measured in a process of its own, where nothing else is freed or kept."""
    code = (
        "import json, tracemalloc, sys; text = '[' + ','.join([sys.argv[1]] * 20_000) + ']'; tracemalloc.start(); "
        "kept = json.loads(text); print(tracemalloc.get_traced_memory()[0])"
    )
    taken = int(subprocess.run([sys.executable, "-c", code, unit], capture_output=True, check=True, text=True).stdout)
    assert taken <= json_memory(("[" + ",".join([unit] * 20_000) + "]").encode()) <= 12 * taken + (1 << 20)


def test_nested_json_is_an_error_like_any_other() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        load_json(b"[" * 100_000, "a.json")


def test_thousands_of_columns_are_read(tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_text(
        ",".join(["deploymentID", *(f"column {number}" for number in range(3_000))]) + "\n" + "a" + "," * 3_000 + "\n",
        encoding="utf-8",
    )
    # It was minutes, and hours for as many as a sheet may have: each column was compared with all others.
    assert read_deployments(tmp_path / "sheet.csv").by_id["a"].others == {}
    (tmp_path / "other.csv").write_text(",".join(f"c{number}" for number in range(3_000)) + "\n" + "," * 2_999 + "1\n")
    with pytest.raises(AnimalsError) as caught:
        read_deployments(tmp_path / "other.csv")
    assert len(str(caught.value)) < 2000
