"""Tables as Excel workbooks (extra ``excel``): written row by row with flat memory, and read back for ``--resume``."""

# Imported where they are used: both libraries come with the extra ``excel`` only.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.data.workbook_bounds import check_workbook
from animal_classification.errors import MissingExtraError, OutputError, UsageError
from animal_classification.predict.table import Row, Value, columns, from_values, is_probability, to_values

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

SHEET = "animals"
# Excel's own bounds: rows of a sheet, with the head, and characters of a cell.
MAX_ROWS = 1_048_576
MAX_CHARACTERS = 32_767
_WIDTHS = {"path": 40, "answer": 24, "label": 24, "error": 40}
# Text stays text: a name that begins with "=" is no formula, and one like an address no link.
OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


def require_excel() -> None:
    """Make sure that workbooks can be written and read.

    Raises:
        MissingExtraError: The extra is not installed.
    """
    try:
        import python_calamine  # noqa: F401
        import xlsxwriter  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("a table in .xlsx", "excel") from error


def write_excel(rows: Iterable[Row], target: Path, top_k: int, *, max_rows: int = MAX_ROWS) -> None:
    """Write a table; one that is longer than a sheet may be goes on in another sheet.

    Raises:
        OutputError: The system refuses to write it.
    """
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    workbook = xlsxwriter.Workbook(str(target), {**OPTIONS, "tmpdir": str(target.parent)})
    names = columns(top_k)
    sheet, line = _sheet(workbook, names, 1), 0
    for row in rows:
        line += 1
        if line == max_rows:
            sheet, line = _sheet(workbook, names, len(workbook.worksheets()) + 1), 1
        for index, value in enumerate(to_values(row, top_k)):
            _write(sheet, line, index, value)
    try:
        workbook.close()
    except FileCreateError as error:
        raise OutputError(f"cannot write {str(target)!r}: {error}") from error


def read_excel(path: Path, top_k: int) -> Iterator[Row]:
    """Read back such a table, row by row.

    Raises:
        UsageError: It is something else, or was made with another ``top_k``.
    """
    names = columns(top_k)
    if read_columns(path) != names:
        raise UsageError(
            f"cannot go on with {str(path)!r}: it has other columns than --top-k {top_k} gives; give another --output"
        )
    for sheet in _sheets(path):
        for values in sheet.to_python(skip_empty_area=False)[1:]:
            yield from_values([_read(name, value) for name, value in zip(names, values, strict=True)])


def read_columns(path: Path) -> list[str]:
    """The names in the first line of a workbook; none where it is no workbook."""
    for sheet in _sheets(path):
        return [str(value) for value in next(sheet.iter_rows(), [])]
    return []


def _sheets(path: Path) -> Iterator[Any]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        check_workbook(path)
        workbook = CalamineWorkbook.from_path(str(path))
    except (CalamineError, ValueError):
        return
    for name in workbook.sheet_names:
        yield workbook.get_sheet_by_name(name)


def _sheet(workbook: Workbook, names: list[str], number: int) -> Worksheet:
    sheet = workbook.add_worksheet(SHEET if number == 1 else f"{SHEET} {number}")
    bold = workbook.add_format({"bold": True})
    for index, name in enumerate(names):
        sheet.set_column(index, index, _WIDTHS.get(name, 12))
        sheet.write_string(0, index, name, bold)
    sheet.freeze_panes(1, 1)
    return sheet


def _write(sheet: Worksheet, line: int, index: int, value: Value) -> None:
    if isinstance(value, bool):
        sheet.write_boolean(line, index, value)
    elif isinstance(value, float):
        sheet.write_number(line, index, value)
    elif value:
        sheet.write_string(line, index, value[:MAX_CHARACTERS])


def _read(column: str, value: Any) -> Value:
    """A cell as it was before it was written: a workbook has no empty text, and no whole numbers."""
    if value in ("", None):
        return "" if column == "path" else None
    return float(value) if is_probability(column) else value if isinstance(value, bool) else str(value)
