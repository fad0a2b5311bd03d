"""Camtrap DP: a data package of deployments, media and observations, as a folder, a zip, or its ``datapackage.json``.

Source: camtrap-dp.tdwg.org, versions 0.1.6 to 1.0.2. Observations of media are read; those of events name no picture.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from animal_classification.data.detections import Category
from animal_classification.data.recognitions.boxes import BoxCounter, WrittenBox
from animal_classification.data.recognitions.entry import RecognizedFile
from animal_classification.data.recognitions.package import PackageFiles
from animal_classification.data.recognitions.recognitions import Recognitions, last_of_each
from animal_classification.data.recognitions.values import Object, as_number, as_object, as_text, objects
from animal_classification.data.tabular import Table, table_from_bytes
from animal_classification.errors import UsageError

_CATEGORIES: Mapping[str, Category] = {"animal": "animal", "human": "person", "vehicle": "vehicle"}
_BLANK = "blank"
_KNOWN = frozenset({*_CATEGORIES, _BLANK, "unknown", "unclassified", ""})
_BOX = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")
Row = Mapping[str, str]


def is_camtrap_dp(document: Object) -> bool:
    """Whether a document describes a data package."""
    return isinstance(document.get("resources"), list)


def read_camtrap_dp(document: Object, files: PackageFiles, where: str) -> Recognitions:
    """Read a package.

    Args:
        document: Its ``datapackage.json``.
        files: The files beside that.
        where: Its name, for messages.

    Raises:
        UsageError: A table or a column that is needed is not there, or a type of observation is not known.
    """
    package = _Package(document, files, where)
    media = package.table("media", ("mediaID", "filePath"))
    observations = package.table("observations", ("observationType",))
    deployments = package.table("deployments", ("deploymentID",), needed=False)
    reading = _CamtrapReading(where, observations, deployments)
    entries, notes = last_of_each(map(reading.entry, media))
    return Recognitions(where=where, dialect=_dialect(document), entries=entries, notes=(*notes, *reading.notes(media)))


def _dialect(document: Object) -> str:
    found = re.search(r"camtrap-dp/v?(\d[\w.\-]*)/", as_text(document.get("profile")))
    return f"Camtrap DP {found.group(1)}" if found else "Camtrap DP"


class _Package:
    """A descriptor and the tables that it names."""

    def __init__(self, document: Object, files: PackageFiles, where: str) -> None:
        self._files, self._where = files, where
        resources = objects(document.get("resources"), f"{where}: resources")
        self._paths = {as_text(item.get("name")): as_text(item.get("path")) for item in resources}

    def table(self, name: str, columns: Sequence[str], *, needed: bool = True) -> list[Row]:
        """The rows of one table, by the names of its columns.

        Raises:
            UsageError: It, or one of ``columns``, is not there.
        """
        path = self._paths.get(name, "")
        if not path:
            if not needed:
                return []
            raise UsageError(f"{self._where}: its descriptor names no file for {name!r} among its resources")
        found = table_from_bytes(self._files.read(path), f"{self._where}/{path}")
        self._require(found, columns)
        return [dict(zip(found.columns, (cell.strip() for cell in row), strict=True)) for row in found.rows]

    @staticmethod
    def _require(table: Table, columns: Sequence[str]) -> None:
        for column in columns:
            if column not in table.columns:
                raise UsageError(f"{table.where} has no column {column!r}{table.names_near((column,))}")


class _CamtrapReading:
    """Observations by medium, and what is counted on the way."""

    def __init__(self, where: str, observations: Sequence[Row], deployments: Sequence[Row]) -> None:
        self._where = where
        self._of: dict[str, list[Row]] = defaultdict(list)
        self._of_events = 0
        for row in observations:
            if row.get("observationLevel", "media") == "event" or not row.get("mediaID"):
                self._of_events += 1
            else:
                self._of[row["mediaID"]].append(row)
        self._places = {
            row["deploymentID"]: row.get("locationID") or row.get("locationName") or "" for row in deployments
        }
        self._boxes = BoxCounter()

    def entry(self, medium: Row) -> RecognizedFile:
        """One picture or video.

        Raises:
            UsageError: It has no path, or an observation of it has a type that is not known.
        """
        name = _name(medium)
        if not name:
            raise UsageError(f"{self._where}: the medium {medium['mediaID']!r} has no path")
        seen = self._of.get(medium["mediaID"], [])
        types = {self._type(row, name) for row in seen}
        labels = {row.get("scientificName", "") for row in seen if row["observationType"] == "animal"}
        written = [box for row in seen if (box := _box(row)) is not None]
        blank = types == {_BLANK}
        deployment = medium.get("deploymentID", "")
        return RecognizedFile(
            name=name,
            boxes=self._boxes.found(written) if written or blank else None,
            label=labels.pop() if len(labels) == 1 else "",
            blank=blank,
            time=medium.get("timestamp", ""),
            location=self._places.get(deployment, ""),
            deployment=deployment,
            sequence=next((row["eventID"] for row in seen if row.get("eventID")), medium.get("sequenceID", "")),
        )

    def notes(self, media: Sequence[Row]) -> tuple[str, ...]:
        """What was left out."""
        counts = Counter(row["mediaID"] for row in media)
        loose = sum(len(rows) for medium, rows in self._of.items() if medium not in counts)
        events = f"{self._of_events:,} observations are of events, not of pictures, and were not read"
        dangling = f"{loose:,} observations are of media that it does not list"
        return (
            *((events,) if self._of_events else ()),
            *((dangling,) if loose else ()),
            *self._boxes.notes(),
        )

    def _type(self, row: Row, name: str) -> str:
        found = row["observationType"]
        if found not in _KNOWN:
            known = ", ".join(sorted(filter(None, _KNOWN)))
            raise UsageError(f"{self._where}: {name!r} has the observationType {found!r}; wanted: {known}")
        return found


def _name(medium: Row) -> str:
    """The path in the package; for a medium on the web, the name that the file had on the card."""
    path = medium["filePath"]
    if "://" not in path:
        return path
    return medium.get("fileName") or PurePosixPath(path).name


def _box(row: Row) -> WrittenBox | None:
    texts = [row.get(column, "") for column in _BOX]
    category = _CATEGORIES.get(row["observationType"])
    if category is None or not any(texts):
        return None
    found = tuple(number for text in texts if (number := as_number(text)) is not None)
    label = row.get("scientificName", "") if category == "animal" else ""
    return WrittenBox(
        category=category,
        confidence=None,
        numbers=found if len(found) == len(_BOX) else None,
        label=label,
        label_probability=as_number(row.get("classificationProbability")) if label else None,
    )


def descriptor(value: object, where: str) -> Object:
    """A descriptor.

    Raises:
        UsageError: It is none.
    """
    document = as_object(value)
    if not is_camtrap_dp(document):
        raise UsageError(f"{where} describes no data package: it has no resources")
    return document
