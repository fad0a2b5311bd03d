"""Tables with a row for each box or file: animl, AddaxAI, Timelapse, Wildlife Insights, and those of ``animals``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from animal_classification.data.detections import Category
from animal_classification.data.recognitions.boxes import BoxCounter, Layout, WrittenBox
from animal_classification.data.recognitions.categories import NOTHING, USUAL, category_of, named_category
from animal_classification.data.recognitions.entry import RecognizedFile
from animal_classification.data.recognitions.recognitions import Recognitions
from animal_classification.data.recognitions.values import as_frame, as_number, as_size
from animal_classification.data.tabular import Table, plain_name
from animal_classification.errors import UsageError
from animal_classification.imaging import is_photo_name

_YES = frozenset({"1", "true", "yes"})


@dataclass(frozen=True, kw_only=True)
class TableDialect:
    """How one program names its columns, in lower case and without hyphens and underscores.

    Attributes:
        name: Of the program.
        marks: Columns by which a table is recognised; all of them are there.
        columns: For each meaning the names that it has, the first that is there is taken.
        box: The four columns of a box; none where the table holds labels only.
        layout: What the four say.
        pixels: Whether they are pixels.
    """

    name: str
    marks: frozenset[str]
    columns: Mapping[str, tuple[str, ...]]
    box: tuple[str, ...] = ()
    layout: Layout = "xywh"
    pixels: bool = False


_ADDAXAI = {
    "path": ("relativepath", "absolutepath"),
    "category": ("detectioncategory", "observationtype"),
    "score": ("detectionconfidence",),
    "label": ("commonname", "scientificname", "classificationlabel"),
    "probability": ("classificationconfidence",),
    "frame": ("framenumber",),
    "time": ("datetime",),
    "deployment": ("deploymentid",),
    "sequence": ("eventid",),
}
_ANIML = {
    "path": ("filepath", "file"),
    "category": ("category",),
    "score": ("conf",),
    "label": ("prediction",),
    "probability": ("confidence",),
    "frame": ("framenumber", "frame"),
    "time": ("datetime",),
    "width": ("width",),
    "height": ("height",),
}
# The first whose marks are all there is taken: those with more marks come before those with fewer.
DIALECTS = (
    TableDialect(
        name="animals (table of detections)",
        marks=frozenset({"path", "detection", "category", "confidence", "x", "y", "width", "height"}),
        columns={
            "path": ("path",),
            "category": ("category",),
            "score": ("confidence",),
            "label": ("label",),
            "probability": ("probability",),
            "frame": ("frame",),
            "sequence": ("event",),
        },
        box=("x", "y", "width", "height"),
    ),
    TableDialect(
        name="animl (table)",
        marks=frozenset({"filepath", "category", "conf", "bbox1", "bbox2", "bbox3", "bbox4"}),
        columns=_ANIML,
        box=("bbox1", "bbox2", "bbox3", "bbox4"),
    ),
    TableDialect(
        name="animl (table)",
        marks=frozenset({"filepath", "category", "conf", "bboxx", "bboxy", "bboxw", "bboxh"}),
        columns=_ANIML,
        box=("bboxx", "bboxy", "bboxw", "bboxh"),
    ),
    TableDialect(
        name="AddaxAI (table of detections)",
        marks=frozenset({"relativepath", "detectioncategory", "bboxx", "bboxy", "bboxwidth", "bboxheight"}),
        columns=_ADDAXAI,
        box=("bboxx", "bboxy", "bboxwidth", "bboxheight"),
    ),
    TableDialect(
        name="AddaxAI before 7 (table of detections)",
        marks=frozenset({"relativepath", "label", "bboxleft", "bboxtop", "bboxright", "bboxbottom", "filewidth"}),
        columns={
            "path": ("relativepath",),
            "category": ("label",),
            "score": ("confidence",),
            "label": ("label",),
            "width": ("filewidth",),
            "height": ("fileheight",),
            "time": ("datetimeoriginal", "datetime"),
        },
        box=("bboxleft", "bboxtop", "bboxright", "bboxbottom"),
        layout="xyxy",
        pixels=True,
    ),
    TableDialect(
        name="AddaxAI (table of files)",
        marks=frozenset({"relativepath", "observationtype", "classificationlabel"}),
        columns=_ADDAXAI,
    ),
    TableDialect(
        name="Wildlife Insights",
        marks=frozenset({"deploymentid", "imageid", "isblank", "witaxonid", "timestamp"}),
        columns={
            "path": ("filename", "location"),
            "label": ("commonname",),
            "probability": ("cvconfidence",),
            "time": ("timestamp",),
            "deployment": ("deploymentid",),
            "blank": ("isblank",),
        },
    ),
    TableDialect(
        name="Timelapse",
        marks=frozenset({"file", "relativepath", "rootfolder"}),
        columns={
            "path": ("file",),
            "folder": ("relativepath",),
            "label": ("species", "label", "animal", "class", "commonname", "scientificname"),
            "time": ("datetime",),
            "location": ("station", "site", "location", "camera", "relativepath"),
            "deleted": ("deleteflag",),
        },
    ),
)


def dialect_of(table: Table) -> TableDialect | None:
    """Which program wrote a table; ``None`` where it is none that is known."""
    names = {plain_name(column) for column in table.columns}
    return next((dialect for dialect in DIALECTS if dialect.marks <= names), None)


def read_rows(table: Table, dialect: TableDialect, where: str) -> Recognitions:
    """Read a table.

    Raises:
        UsageError: A row names no file, or has a category that is not known.
    """
    reading = _TableReading(table, dialect, where)
    rows: dict[str, list[_Row]] = {}
    for row in map(reading.row, table.rows):
        if row is not None:
            rows.setdefault(row.path, []).append(row)
    entries = tuple(reading.entry(name, group) for name, group in rows.items())
    return Recognitions(where=where, dialect=dialect.name, entries=entries, notes=reading.notes())


@dataclass(frozen=True, slots=True)
class _Row:
    """One row's cells by their meaning, and its four numbers as text."""

    path: str
    cells: Mapping[str, str]
    box: tuple[str, ...]


class _TableReading:
    """One table, with the places of its columns."""

    def __init__(self, table: Table, dialect: TableDialect, where: str) -> None:
        names = [plain_name(column) for column in table.columns]
        self._dialect, self._where = dialect, where
        self._places = {
            meaning: tuple(names.index(column) for column in columns if column in names)
            for meaning, columns in dialect.columns.items()
        }
        self._box_places = tuple(names.index(column) for column in dialect.box)
        self._boxes = BoxCounter()
        self._pathless = self._deleted = 0

    def row(self, cells: Sequence[str]) -> _Row | None:
        """A row; ``None`` for one that names no file, or that its program has marked as deleted."""
        found = {meaning: self._cell(cells, places) for meaning, places in self._places.items()}
        path, folder = found["path"], found.get("folder")
        self._pathless += not path
        deleted = found.get("deleted", "").casefold() in _YES
        self._deleted += deleted
        if not path or deleted:
            return None
        whole = f"{folder}/{path}" if folder and not is_photo_name(folder) else path
        return _Row(whole, found, tuple(cells[place].strip() for place in self._box_places))

    def entry(self, name: str, rows: Sequence[_Row]) -> RecognizedFile:
        """One file, from all of its rows.

        Raises:
            UsageError: A row of it has a category that is not known.
        """
        first = rows[0].cells
        size = as_size(first.get("width"), first.get("height"))
        written = [box for row in rows if (box := self._box(name, row)) is not None] if self._dialect.box else None
        labels = {label for row in rows if (label := self._label(row.cells))}
        blank = written == [] or (written is None and all(map(_is_blank, rows)))
        empty = blank and (self._dialect.box or "category" in first or "blank" in first)
        return RecognizedFile(
            name=name,
            boxes=(() if empty else None) if written is None else self._boxes.found(written, size),
            label=labels.pop() if len(labels) == 1 else "",
            label_probability=as_number(first.get("probability")),
            blank=blank,
            time=first.get("time", ""),
            location=first.get("location", ""),
            deployment=first.get("deployment", ""),
            sequence=first.get("sequence", ""),
            size=size,
        )

    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        pathless = f"{self._pathless:,} rows name no file and were left out" if self._pathless else ""
        deleted = f"{self._deleted:,} rows are marked for deletion and were left out" if self._deleted else ""
        return tuple(note for note in (pathless, deleted, *self._boxes.notes()) if note)

    def _box(self, name: str, row: _Row) -> WrittenBox | None:
        category = self._category(name, row.cells.get("category", ""))
        if category is None:
            return None
        numbers = tuple(number for text in row.box if (number := as_number(text)) is not None)
        score = row.cells.get("score", "")
        label = self._label(row.cells) if category == "animal" else ""
        return WrittenBox(
            category=category,
            confidence=(as_number(score) if as_number(score) is not None else -1.0) if score else None,
            numbers=numbers if len(numbers) == 4 else None,
            layout=self._dialect.layout,
            pixels=self._dialect.pixels,
            frame=None if is_photo_name(name) else as_frame(row.cells.get("frame")),
            label=label,
            label_probability=as_number(row.cells.get("probability")) if label else None,
        )

    def _category(self, name: str, written: str) -> Category | None:
        """The category; where a column holds species, any other word is an animal."""
        if self._dialect.columns.get("category") == self._dialect.columns.get("label"):
            return named_category(written) or (None if written.casefold() in NOTHING else "animal")
        number = written.removesuffix(".0")
        return category_of(USUAL.get(number, "" if number == "0" else written), f"{self._where}: a box of {name!r}")

    def _label(self, cells: Mapping[str, str]) -> str:
        label = cells.get("label", "")
        return "" if label.casefold() in NOTHING or named_category(label) else label

    @staticmethod
    def _cell(cells: Sequence[str], places: Sequence[int]) -> str:
        """The first of some cells that is not empty."""
        return next((text for place in places if (text := cells[place].strip()) and text != "NA"), "")


def _is_blank(row: _Row) -> bool:
    said = row.cells.get("blank", "").casefold() in _YES
    category, label = row.cells.get("category"), row.cells.get("label", "")
    return said or category == "blank" or label.casefold() in (NOTHING - {""})


def unknown_table(table: Table) -> UsageError:
    """What is said of a table that no program that is known here wrote."""
    names = ", ".join(dict.fromkeys(dialect.name for dialect in DIALECTS))
    return UsageError(f"{table.where} is a table of none of these: {names}{table.names_near(('relativepath',))}")
