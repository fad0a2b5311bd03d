"""One way in: a file of another program is recognised by its structure, whatever its name is."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from animal_classification.common.suggest import nearest_file
from animal_classification.data.recognitions.camtrap_dp import descriptor, is_camtrap_dp, read_camtrap_dp
from animal_classification.data.recognitions.coco import is_coco, read_coco
from animal_classification.data.recognitions.document import (
    ZippedFolder,
    check_size,
    most_bytes,
    parse_json,
    read_json,
    starts_like_json,
)
from animal_classification.data.recognitions.megadetector import is_megadetector, read_megadetector
from animal_classification.data.recognitions.microsoft_cli import is_microsoft_cli, read_microsoft_cli
from animal_classification.data.recognitions.own import is_own, read_lines, read_own
from animal_classification.data.recognitions.package import FolderPackage, ZipPackage
from animal_classification.data.recognitions.recognitions import Recognitions
from animal_classification.data.recognitions.speciesnet import is_speciesnet, read_speciesnet
from animal_classification.data.recognitions.tables import DIALECTS, dialect_of, read_rows, unknown_table
from animal_classification.data.tabular import TABLE_SUFFIXES, Table, read_sheets, read_table, table_from_bytes
from animal_classification.errors import UsageError

_DESCRIPTOR = "datapackage.json"
_LINES = (".jsonl", ".ndjson")
_READ = (
    "MegaDetector 1.0 to 1.6, Microsoft's MegaDetector, SpeciesNet, animl, AddaxAI, Camtrap DP, COCO, Timelapse, "
    "Wildlife Insights, and tables of animals"
)


def read_recognitions(path: str | Path, *, max_bytes: int | None = None) -> Recognitions:
    """Read what another program says about photos.

    Args:
        path: A JSON document or table of any of the dialects, or a Camtrap DP or Wildlife Insights folder or zip.
        max_bytes: Refuse a larger file; by default one that does not fit into memory when it is read, or has more
            than 512 MiB.

    Returns:
        An entry for each file; ``says`` tells what it was taken for.

    Raises:
        UsageError: There is no such file, it is of no dialect that is known, or it is broken.
        AnimalsError: It cannot be read.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise UsageError(f"no such file or folder: {str(path)!r}{nearest_file(place)}")
    if place.is_dir():
        return _read_folder(place)
    most = most_bytes() if max_bytes is None else max_bytes
    check_size(place, most)
    if place.suffix.lower() not in TABLE_SUFFIXES and zipfile.is_zipfile(place):
        return _read_zip(place)
    if place.suffix.lower() in _LINES:
        return _read_document(read_lines(place), place)
    if starts_like_json(place):
        return _read_document(read_json(place, most), place)
    if place.suffix.lower() == ".xlsx":
        return _read_workbook(place)
    if place.suffix.lower() in TABLE_SUFFIXES:
        return _read_table(read_table(place), place)
    raise UsageError(f"{str(place)!r} is neither JSON nor a table ({', '.join(TABLE_SUFFIXES)}); read are: {_READ}")


def _read_document(document: object, file: Path) -> Recognitions:
    where = file.name
    if is_own(document):
        return read_own(document, where)
    if is_microsoft_cli(document):
        return read_microsoft_cli(document, where)
    if isinstance(document, dict):
        if is_speciesnet(document):
            return read_speciesnet(document, where)
        if is_coco(document):
            return read_coco(document, where)
        if is_megadetector(document):
            return read_megadetector(document, where)
        if is_camtrap_dp(document):
            return read_camtrap_dp(document, FolderPackage(file.parent), where)
    raise UsageError(f"{str(file)!r} holds {_kind(document)}, as none of these do: {_READ}")


def _kind(document: object) -> str:
    if isinstance(document, dict):
        keys = ", ".join(repr(key) for key in list(document)[:6])
        return f"an object with {keys or 'nothing'}"
    if isinstance(document, list):
        return f"a list of {len(document):,} items without file and detections"
    return f"a single value ({document!r:.40})"


def _read_table(table: Table, file: Path) -> Recognitions:
    dialect = dialect_of(table)
    if dialect is None:
        raise unknown_table(table)
    found = read_rows(table, dialect, file.name)
    deployments = file.with_name("deployments.csv")
    if dialect.name == "Wildlife Insights" and deployments.is_file():
        return _with_places(found, read_table(deployments))
    return found


def _read_workbook(file: Path) -> Recognitions:
    """The sheet that holds most of what is wanted: AddaxAI's begins with a summary, and has its boxes further on.

    Of several that are known, boxes come before files; of the same kind, the first.
    """
    sheets = read_sheets(file)
    known = [(name, dialect) for name, table in sheets.items() if (dialect := dialect_of(table)) is not None]
    if not known:
        if len(sheets) == 1:
            raise unknown_table(*sheets.values())
        names = ", ".join(map(repr, sheets)) or "none with rows"
        raise UsageError(f"{str(file)!r} has no sheet that is a table of any of these: {_READ}; its sheets: {names}")
    name, dialect = min(known, key=lambda one: DIALECTS.index(one[1]))
    where = file.name if len(sheets) == 1 else f"{file.name}, sheet {name!r}"
    return read_rows(sheets[name], dialect, where)


def _read_folder(folder: Path) -> Recognitions:
    if (folder / _DESCRIPTOR).is_file():
        document = descriptor(read_json(folder / _DESCRIPTOR), f"{folder.name}/{_DESCRIPTOR}")
        return read_camtrap_dp(document, FolderPackage(folder), folder.name)
    images = sorted(folder.glob("images*.csv"))
    if not images:
        raise UsageError(
            f"{str(folder)!r} is a folder without {_DESCRIPTOR} (Camtrap DP) or images.csv (Wildlife Insights); "
            "name the file with the detections"
        )
    return _joined([_read_table(read_table(file), file) for file in images], folder.name)


def _read_zip(archive: Path) -> Recognitions:
    names = ZippedFolder(archive).names()
    descriptors = sorted((name for name in names if PurePosixPath(name).name == _DESCRIPTOR), key=len)
    if descriptors:
        data = ZippedFolder(archive).read(descriptors[0])
        document = descriptor(parse_json(data, f"{archive}/{descriptors[0]}"), f"{archive.name}/{descriptors[0]}")
        folder = PurePosixPath(descriptors[0]).parent.as_posix().removeprefix(".")
        return read_camtrap_dp(document, ZipPackage(archive, folder), archive.name)
    images = [name for name in names if PurePosixPath(name).match("images*.csv")]
    if not images:
        raise UsageError(f"{str(archive)!r} is a zip without {_DESCRIPTOR} (Camtrap DP) or images.csv; unpack it first")
    return _joined([_zipped_images(archive, name, names) for name in sorted(images)], archive.name)


def _zipped_images(archive: Path, name: str, names: list[str]) -> Recognitions:
    zipped = ZippedFolder(archive)
    table = table_from_bytes(zipped.read(name), f"{archive}/{name}")
    dialect = dialect_of(table)
    if dialect is None:
        raise unknown_table(table)
    found = read_rows(table, dialect, archive.name)
    deployments = PurePosixPath(name).with_name("deployments.csv").as_posix()
    if deployments not in names:
        return found
    return _with_places(found, table_from_bytes(zipped.read(deployments), f"{archive}/{deployments}"))


def _joined(parts: list[Recognitions], where: str) -> Recognitions:
    entries = tuple(entry for part in parts for entry in part)
    return replace(parts[0], where=where, entries=entries, notes=tuple(note for part in parts for note in part.notes))


def _with_places(found: Recognitions, deployments: Table) -> Recognitions:
    """Wildlife Insights names the place of a deployment in another table."""
    places = _column_by(deployments, "deployment_id", "placename")
    return replace(found, entries=tuple(replace(entry, location=places.get(entry.deployment, "")) for entry in found))


def _column_by(table: Table, key: str, value: str) -> Mapping[str, str]:
    if key not in table.columns or value not in table.columns:
        return {}
    at, of = table.columns.index(key), table.columns.index(value)
    return {row[at].strip(): row[of].strip() for row in table.rows}
