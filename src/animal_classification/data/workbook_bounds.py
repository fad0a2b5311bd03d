"""Whether an Excel workbook fits into the memory that there is, told from its XML before anything is made of it.

The reader of workbooks makes a rectangle of all cells between the first and the last that hold something: two cells in
opposite corners of a sheet stand for 17 thousand million. It also unpacks whatever its zip holds.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from animal_classification.common.reading_budget import CELL, ROW, ReadingBudget
from animal_classification.common.zip_damage import DAMAGED

# A cell that holds something, with its place; one without a place stands behind the one before.
_HOLDS = re.compile(rb"<(?:\w+:)?c\s[^>]*?\br=[\"']([A-Za-z]{1,3})(\d{1,7})[\"'][^>/]*>")
_PLACED = re.compile(rb"<(?:\w+:)?c\s[^>]*?\br=[\"'][A-Za-z]")
_CELL = re.compile(rb"<(?:\w+:)?c[\s>]")
_ROW = re.compile(rb"<(?:\w+:)?row\s[^>]*?\br=[\"'](\d{1,7})[\"']")
_ROW_END = re.compile(rb"</(?:\w+:)?row>")
_CHUNK = 1 << 20
_LONGEST_TAG = 1 << 12
_COLUMNS = 16_384  # of a sheet
_UNPACKED = 3  # bytes for each of XML: as it is, as the reader's text, and as a cell's
_IN_RECTANGLE = 32 + CELL  # bytes of a cell in the reader's rectangle, and as an object


def check_workbook(file: Path) -> None:
    """Refuse a workbook that would not fit into memory.

    Raises:
        UsageError: It would not.
        ValueError: It is no zip, or a damaged one.
    """
    budget = ReadingBudget(repr(str(file)))
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                sheet = _Extent()
                with archive.open(member) as stream:
                    while piece := stream.read(_CHUNK):
                        budget.take(_UNPACKED * len(piece))
                        sheet.add(piece)
                budget.take(sheet.cells * _IN_RECTANGLE + sheet.rows * ROW)
    except DAMAGED as error:
        raise ValueError(f"it is no workbook, or a damaged one ({error})") from error


@dataclass
class _Extent:
    """The rectangle of one sheet, from its XML piece by piece.

    Attributes:
        first: Of the rows that hold something.
        last: Of them.
        left: The first column that holds something.
        right: The last one.
        widest: Cells without a place in one row.
        ends: Ends of rows.
    """

    first: int = 1 << 30
    last: int = 0
    left: int = 1 << 30
    right: int = 0
    widest: int = 0
    ends: int = 0
    _numbered: int = 0
    _open: int = 0
    _rest: bytes = b""

    def add(self, piece: bytes) -> None:
        """The next piece; what may be half a tag waits for the one after it."""
        text = self._rest + piece
        cut = text.rfind(b"<")
        cut = len(text) if cut < len(text) - _LONGEST_TAG else cut
        text, self._rest = text[:cut], text[cut:]
        holds = _HOLDS.findall(text)
        numbers = [int(number) for number in {number for _, number in holds}]
        places = [_column(letters) for letters in {letters for letters, _ in holds}]
        if holds:
            self.first, self.last = min(self.first, *numbers), max(self.last, *numbers)
            self.left, self.right = min(self.left, *places), max(self.right, *places)
        self._numbered = max([self._numbered, *map(int, _ROW.findall(text))])
        self._count_unplaced(text)

    def _count_unplaced(self, text: bytes) -> None:
        self.ends += len(_ROW_END.findall(text))
        if len(_CELL.findall(text)) == len(_PLACED.findall(text)) and not self._open:
            return
        *whole, rest = _ROW_END.split(text)
        for row in whole:
            self.widest = max(self.widest, self._open + len(_CELL.findall(row)))
            self._open = 0
        self._open += len(_CELL.findall(rest)) - len(_PLACED.findall(rest))
        self.widest = max(self.widest, self._open)

    @property
    def rows(self) -> int:
        """How many there are between the first and the last."""
        placed = max(0, self.last - self.first + 1)
        return max(placed, self._numbered, self.ends) if self.widest else placed

    @property
    def cells(self) -> int:
        """How many there are in the rectangle."""
        placed = max(0, self.right - self.left + 1)
        return self.rows * min(_COLUMNS, max(placed, self.right + self.widest if self.widest else 0))


def _column(letters: bytes) -> int:
    """The number of a column: ``AB`` is 28."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - 64
    return number
