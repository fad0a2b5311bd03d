"""The sheet that people fill in when they put up cameras: one row a deployment, in CSV or XLSX.

Columns by Camtrap DP's names (capitals, blanks and underscores do not matter), and four of ours: ``folder``,
``timezone``, ``cameraTime`` and ``actualTime``. Any other column is carried along.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from animal_classification.common.suggest import close, did_you_mean
from animal_classification.data.tabular import Table, read_table
from animal_classification.errors import UsageError
from animal_classification.field.camera_clock import parse_time
from animal_classification.field.deployment import Deployment, Deployments, folded
from animal_classification.field.time_zones import parse_zone

# fmt: off
OURS = ("folder", "timezone", "cameraTime", "actualTime")
CAMTRAP_DP = (
    "deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty", "deploymentStart",
    "deploymentEnd", "setupBy", "cameraID", "cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt",
    "cameraHeading", "detectionDistance", "timestampIssues", "baitUse", "featureType", "habitat", "deploymentGroups",
    "deploymentTags", "deploymentComments",
)
# fmt: on


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


_KNOWN = {_plain(name): name for name in (*OURS, *CAMTRAP_DP)}
_LONGEST_NAME = 40
_SUFFIXES = (".csv", ".tsv", ".xlsx")
_FEW = 3
_GUESSED = 50  # rows without a file for which the nearest folder is looked for: each is compared with all folders
_MAX_SHIFT = timedelta(days=36_525)


@dataclass(frozen=True, slots=True)
class _Cells:
    """One row by the names of its columns, with what it takes to complain about a cell of it."""

    where: str
    row: int
    values: dict[str, str]

    def wrong(self, column: str, why: str) -> UsageError:
        return UsageError(f"{self.where}, row {self.row}, column {column!r}: {why}")

    def number(self, column: str, limit: int) -> float | None:
        text = self.values.get(column, "")
        if not text:
            return None
        # Half of Europe writes 51,496.
        plain = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
        try:
            value = float(plain)
        except ValueError:
            raise self.wrong(column, f"{text!r} is no number; write degrees such as -1.2921") from None
        if not -limit <= value <= limit:
            raise self.wrong(column, f"{text} is not between -{limit} and {limit} degrees")
        return value

    def moment(self, column: str) -> datetime | None:
        text = self.values.get(column, "")
        if not text:
            return None
        moment = parse_time(text) or parse_time(f"{text} 00:00:00")
        if moment is None:
            raise self.wrong(column, f"{text!r} is no time; write 2026-05-31 14:30:00")
        return moment

    def shift(self) -> timedelta | None:
        """What to add to the camera's times."""
        camera, actual = self.moment("cameraTime"), self.moment("actualTime")
        if camera is None and actual is None:
            return None
        if camera is None or actual is None:
            missing = "cameraTime" if camera is None else "actualTime"
            raise self.wrong(missing, "is empty; a clock is put right from cameraTime and actualTime together")
        if abs(actual - camera) > _MAX_SHIFT:
            raise self.wrong("actualTime", f"is more than a century from cameraTime {self.values['cameraTime']!r}")
        return actual - camera


def read_deployments(file: str | Path) -> Deployments:
    """Read a deployment sheet.

    Raises:
        UsageError: It is no table, or a cell of it cannot be; the message names row and column.
        MissingExtraError: It is a workbook, and the extra ``excel`` is not installed.
        AnimalsError: The system refuses to read it.
    """
    path = Path(file)
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{str(file)!r} is no deployment sheet: save it as .csv or .xlsx")
    table = read_table(path)
    found: dict[str, Deployment] = {}
    folders: dict[str, Deployment] = {}
    for cells in _rows(table):
        deployment = _deployment(cells)
        for known, key, column in (
            (found, deployment.id, "deploymentID"),
            (folders, folded(deployment.folder), "folder" if cells.values.get("folder") else "deploymentID"),
        ):
            if key in known:
                raise cells.wrong(column, f"{cells.values[column]!r} is in row {known[key].row} as well")
            known[key] = deployment
    return Deployments(found)


def _rows(table: Table) -> Iterator[_Cells]:
    written = {_plain(column) for column in table.columns}
    missing = [name for name in _KNOWN if name not in written]
    names = [_column(table, column, missing) for column in table.columns]
    counts = Counter(names)
    doubled = next((name for name in names if name and counts[name] > 1), None)
    if doubled:
        raise UsageError(f"{table.where} has two columns {doubled!r}")
    if not {"deploymentID", "folder"} & set(names):
        near = table.names_near(["deploymentID", "folder"])
        if "" in table.columns:  # a title above the table, or merged cells
            near += "; the first line must name the columns, each in a cell of its own"
        raise UsageError(f"{table.where} has no column 'deploymentID' or 'folder'{near}")
    for place, row in enumerate(table.rows):
        cells = {name: cell.strip() for name, cell in zip(names, row, strict=True) if name}
        yield _Cells(table.where, table.line(place), cells)


def _column(table: Table, column: str, missing: Sequence[str]) -> str:
    """A column by its proper name; one that is nearly a known name is a mistake, any other is carried along.

    Args:
        table: For the message.
        column: As it is written.
        missing: Known names, in their plain form, that no column has.
    """
    plain = _plain(column)
    if plain in _KNOWN:
        return _KNOWN[plain]
    near = close(plain, missing) if 4 < len(plain) <= _LONGEST_NAME else []
    if near:
        guess = did_you_mean([_KNOWN[near[0]]])
        raise UsageError(f"{table.where}, column {column!r}: no such name{guess} Leave it out if it is something else")
    return column.strip()


def _deployment(cells: _Cells) -> Deployment:
    folder = cells.values.get("folder", "").replace("\\", "/").strip("/")
    identity = cells.values.get("deploymentID") or folder
    if not identity:
        raise cells.wrong("deploymentID", "is empty")
    latitude, longitude = cells.number("latitude", 90), cells.number("longitude", 180)
    if (latitude is None) != (longitude is None):
        missing = "latitude" if latitude is None else "longitude"
        raise cells.wrong(missing, "is empty; a place has latitude and longitude")
    start, end = cells.moment("deploymentStart"), cells.moment("deploymentEnd")
    if start and end and end < start:
        raise cells.wrong("deploymentEnd", f"{cells.values['deploymentEnd']!r} is before deploymentStart")
    zone = cells.values.get("timezone", "")
    if zone:
        parse_zone(zone, f"{cells.where}, row {cells.row}, column 'timezone'")
    used = {*OURS, "deploymentID", "latitude", "longitude", "deploymentStart", "deploymentEnd"}
    return Deployment(
        id=identity,
        folder=folder or identity,
        latitude=latitude,
        longitude=longitude,
        start=start,
        end=end,
        timezone=zone,
        shift=cells.shift(),
        others={name: value for name, value in cells.values.items() if name not in used and value},
        row=cells.row,
    )


def unmatched_rows(deployments: Deployments, used: Iterable[str], folders: Iterable[str]) -> list[str]:
    """What to tell people about rows whose folder holds no file, each with the nearest folder that does.

    Args:
        deployments: The sheet.
        used: Ids of deployments that have files.
        folders: Folders that hold files and belong to no row, as the table names them.
    """
    known = set(used)
    left = {folded(folder): folder for folder in folders}
    missing = [row for row in deployments.by_id.values() if row.id not in known]
    near = [(row, _nearest_folder(row.folder, left) if at < _GUESSED else "") for at, row in enumerate(missing)]
    lines = [f"row {row.row}: no file is in {row.folder!r}{hint}" for row, hint in near if hint]
    lost = [row for row, hint in near if not hint]
    if len(lost) <= _FEW:
        return lines + [f"row {row.row}: no file is in {row.folder!r}" for row in lost]
    named = ", ".join(repr(row.folder) for row in lost[:_FEW])
    return [*lines, f"{len(lost)} rows have no file, from row {lost[0].row} to row {lost[-1].row}: {named} …"]


def _nearest_folder(folder: str, left: dict[str, str]) -> str:
    """The folder that is a part of the wanted one, or the other way round, or is spelt nearly so."""
    wanted = folded(folder)
    for path, name in left.items():
        if f"/{wanted}/" in f"/{path}/" or f"/{path}/" in f"/{wanted}/":
            return did_you_mean([name])
    near = close(wanted, left)
    return did_you_mean([left[near[0]]]) if near else ""
