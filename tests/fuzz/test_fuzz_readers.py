"""Files of other programs, damaged at random: labels or a table, or one error of one line. The long run is nightly."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings

from animal_classification.data.recognitions import read_recognitions
from animal_classification.data.tabular import read_sheets, read_table
from animal_classification.errors import AnimalsError
from tests.unit.data.test_exchange_from_strangers import documents, read_or_one_line

FEW, MANY = 60, 5000


def workbook(path: Path) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        for row in range(6):
            sheet.write_row(row, 0, [f"a{row}.jpg", "cat", row, 0.5 * row])
        sheet.write_formula(7, 0, "=A1&B1", None, "x")
        sheet.write_boolean(7, 1, True)
    return path


def packages(path: Path) -> Path:
    tables = [{"name": name, "path": f"{name}.csv"} for name in ("media", "observations", "deployments")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("datapackage.json", json.dumps({"profile": "camtrap-dp/1.0", "resources": tables}))
        archive.writestr("media.csv", "mediaID,filePath,deploymentID\n1,a.jpg,d\n2,b.jpg,d\n")
        archive.writestr("observations.csv", "mediaID,observationType,scientificName\n1,animal,Lynx lynx\n2,blank,\n")
        archive.writestr("deployments.csv", "deploymentID,locationID\nd,north\n")
    return path


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut out, or put in again."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(found) + 1)
        match rng.randrange(4):
            case 0:
                found[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del found[at : at + rng.randint(1, 40)]
            case 2:
                found[at:at] = found[at // 2 : at // 2 + rng.randint(1, 40)]
            case _:
                found[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"])
    return bytes(found)


def damaged_members(path: Path, rng: random.Random) -> bytes:
    """The same within one member of a zip, whose checksums are right."""
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        chosen = rng.choice(source.namelist())
        for name in source.namelist():
            content = source.read(name)
            archive.writestr(name, damaged(content, rng) if name == chosen else content)
    return target.read_bytes()


def damage_and_read(make: Callable[[Path], Path], read: Callable[[Path], Any], place: Path, count: int) -> None:
    whole = make(place / "whole.zip")
    data, rng = whole.read_bytes(), random.Random(7)
    file = place / ("file.xlsx" if make is workbook else "file.zip")
    for _ in range(count):
        file.write_bytes(damaged_members(whole, rng) if rng.random() < 0.7 else damaged(data, rng))
        try:
            read(file)
        except AnimalsError as error:
            assert "\n" not in str(error)


def read_workbook(file: Path) -> None:
    """As a table of labels, and sheet by sheet."""
    with suppress(AnimalsError):
        read_table(file)
    read_sheets(file)


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    "workbook": (workbook, read_workbook),
    "package": (packages, read_recognitions),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_damaged_files(kind: str, tmp_path: Path) -> None:
    damage_and_read(*KINDS[kind], tmp_path, FEW)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files(kind: str, tmp_path: Path) -> None:
    damage_and_read(*KINDS[kind], tmp_path, MANY)


@pytest.mark.nightly
def test_many_exports_of_labelling_tools(tmp_path: Path) -> None:
    @settings(max_examples=MANY, suppress_health_check=list(HealthCheck))
    @given(document=documents)
    def each(document: Any) -> None:
        file = tmp_path / "labels.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        read_or_one_line(file)

    each()
