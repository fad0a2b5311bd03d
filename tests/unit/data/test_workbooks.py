"""Labels in an Excel workbook, as people keep them."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest
import xlsxwriter

from animal_classification.data.tabular import read_table
from animal_classification.errors import MissingExtraError, UsageError


def workbook(path: Path, *lines: tuple[object, ...]) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for row, line in enumerate(lines):
            for column, value in enumerate(line):
                if isinstance(value, date):
                    sheet.write_datetime(row, column, value, day)
                elif value is not None:
                    sheet.write(row, column, value)
    return path


def test_numbers_days_and_gaps_are_what_people_see(tmp_path: Path) -> None:
    lines = (("path", "label", "site", "day"), ("a.jpg", "löwe", 7, date(2026, 3, 1)), (), ("b.jpg", None, 7.5, None))
    table = read_table(workbook(tmp_path / "labels.xlsx", *lines))
    assert table.columns == ["path", "label", "site", "day"]
    assert table.rows == [["a.jpg", "löwe", "7", "2026-03-01"], ["b.jpg", "", "7.5", ""]]


def test_an_empty_workbook_and_a_stranger(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no rows"):
        read_table(workbook(tmp_path / "empty.xlsx"))
    (tmp_path / "x.xlsx").write_bytes(b"path,label\na.jpg,cat\n")
    with pytest.raises(UsageError, match=r"x\.xlsx' cannot be read as xlsx"):
        read_table(tmp_path / "x.xlsx")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = workbook(tmp_path / "labels.xlsx", ("path", "label"), ("a.jpg", "cat"))
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(MissingExtraError, match=r"reading an \.xlsx table needs an extra: pip install .*\[excel\]"):
        read_table(file)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_what_excel_calls_unicode_text(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    (tmp_path / "labels.csv").write_bytes(f"{mark}path\tlabel\r\na.jpg\tlöwe\r\n".encode(encoding))
    table = read_table(tmp_path / "labels.csv")
    assert (table.columns, table.rows) == (["path", "label"], [["a.jpg", "löwe"]])


def test_a_table_in_an_old_windows_encoding_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("path;label\na.jpg;löwe\n".encode("cp1252"))
    with pytest.raises(UsageError, match="save it again as UTF-8"):
        read_table(tmp_path / "labels.csv")
