"""Where files belong, and what is said of a sheet that cannot be."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.errors import AnimalsError, UsageError
from animal_classification.field.deployment import HERE, Deployment, Deployments, deployment_folder
from animal_classification.field.deployment_sheet import read_deployments, unmatched_rows


@pytest.mark.parametrize(
    ("path", "deployment"),
    [
        ("Station A/DCIM/100EK113/IMAG0001.JPG", "Station A"),
        ("Station A/dcim/IMAG0001.JPG", "Station A"),
        ("north/7/101RECNX/RCNX0001.JPG", "north/7"),
        ("north/100_BTCF/PICT0001.JPG", "north"),
        ("burrow/IMG_0708.JPG", "burrow"),
        ("StationA/20210401/IMG_0708.JPG", "StationA/20210401"),
        ("DCIM/100MEDIA/DSCF0001.JPG", HERE),
        ("IMG_0708.JPG", HERE),
    ],
)
def test_the_deployment_where_no_sheet_says_so(path: str, deployment: str) -> None:
    assert deployment_folder(path) == deployment
    assert Deployments().of(path) == deployment


def sheet(*folders: str) -> Deployments:
    rows = (Deployment(id=f"d{row}", folder=folder, row=row) for row, folder in enumerate(folders, start=2))
    return Deployments({row.id: row for row in rows})


def test_the_longest_folder_of_the_sheet_wins_and_only_whole_names_count() -> None:
    deployments = sheet("north", "north/7", "Station A")
    assert deployments.of("north/7/DCIM/100EK113/IMAG0001.JPG") == "d3"
    assert deployments.of("north/77/IMAG0001.JPG") == "d2"
    assert deployments.of("Station A (copy)/DCIM/100EK113/IMAG0001.JPG") == "Station A (copy)"


def test_folders_are_compared_whatever_their_case_accents_and_slashes_are() -> None:
    deployments = sheet("ÉTÉ\\nord\\")
    assert deployments.of("e\u0301te\u0301/Nord/a.jpg") == "d2"


def test_a_row_can_stand_for_the_whole_card() -> None:
    assert sheet(".").of("DCIM/100EK113/IMAG0001.JPG") == "d2"


# By column: its name, and its cell in the first row and in the second.
COLUMNS = [
    ("deploymentID", "A", "B"),
    ("Latitude", "51,5", ""),
    ("longitude", "4.25", ""),
    ("deployment_start", "2026-05-01 08:00:00", ""),
    ("deploymentEnd", "2026-06-01", ""),
    ("timezone", "Europe/Brussels", "+02:00"),
    ("cameraTime", "2026-05-01 07:00:00", ""),
    ("actualTime", "2026-05-01 08:00:30", ""),
    ("habitat", "heath", ""),
]
ROWS = [list(row) for row in zip(*COLUMNS, strict=True)]


def csv_sheet(folder: Path, rows: list[list[str]], separator: str = ",") -> Path:
    path = folder / "sheet.csv"
    path.write_text("\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows), encoding="utf-8-sig")
    return path


def xlsx_sheet(folder: Path, rows: list[list[str]]) -> Path:
    path = folder / "sheet.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet()
        form = book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        for line, row in enumerate(rows):
            for column, cell in enumerate(row):
                try:
                    page.write_datetime(line, column, datetime.fromisoformat(cell), form)
                except ValueError:
                    page.write(line, column, cell)
    return path


@pytest.mark.parametrize("kind", ["csv", "semicolons", "xlsx"])
def test_a_sheet_is_read_from_csv_and_from_a_workbook(kind: str, tmp_path: Path) -> None:
    path = xlsx_sheet(tmp_path, ROWS) if kind == "xlsx" else csv_sheet(tmp_path, ROWS, "," if kind == "csv" else ";")
    first, second = read_deployments(path).by_id.values()
    assert first == Deployment(
        id="A",
        folder="A",
        latitude=51.5,
        longitude=4.25,
        start=datetime(2026, 5, 1, 8),
        end=datetime(2026, 6, 1),
        timezone="Europe/Brussels",
        shift=timedelta(hours=1, seconds=30),
        others={"habitat": "heath"},
        row=2,
    )
    assert (second.latitude, second.shift, second.timezone, second.row) == (None, None, "+02:00", 3)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("Latitude", "91", "row 2, column 'latitude': 91 is not between -90 and 90"),
        ("Latitude", "north", "row 2, column 'latitude': 'north' is no number"),
        ("Latitude", "", "row 2, column 'latitude': is empty; a place has"),
        ("deployment_start", "May", "row 2, column 'deploymentStart': 'May' is no time; write 2026-05-31 14:30:00"),
        ("deploymentEnd", "2026-04-01", "row 2, column 'deploymentEnd': '2026-04-01' is before deploymentStart"),
        ("timezone", "Europe/Brusels", "row 2, column 'timezone': 'Europe/Brusels' is no time zone"),
        ("timezone", "Europe/Brusels", "did you mean 'Europe/Brussels'"),
        ("actualTime", "", "row 2, column 'actualTime': is empty; a clock is put right"),
        ("deploymentID", "b", "row 3, column 'deploymentID': 'B' is in row 2 as well"),
        ("deploymentID", "", "row 2, column 'deploymentID': is empty"),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column(column: str, value: str, message: str, tmp_path: Path) -> None:
    rows = [list(row) for row in ROWS]
    rows[1][rows[0].index(column)] = value
    with pytest.raises(UsageError) as caught:
        read_deployments(csv_sheet(tmp_path, rows))
    assert "sheet.csv'" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_rows_are_counted_as_the_spreadsheet_shows_them(kind: str, tmp_path: Path) -> None:
    rows = [*ROWS[:2], [""] * len(COLUMNS), ["", *ROWS[2][1:]]]
    rows[3][1] = "91"
    path = csv_sheet(tmp_path, rows) if kind == "csv" else xlsx_sheet(tmp_path, [[""] * len(COLUMNS), *rows])
    with pytest.raises(UsageError, match=r"row 4, " if kind == "csv" else r"row 5, "):
        read_deployments(path)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (["station", "latitude"], "has no column 'deploymentID' or 'folder'"),
        (["deploymentID", "latitde"], "column 'latitde': no such name; did you mean 'latitude'?"),
        (["deploymentID", "deployment_id"], "has two columns 'deploymentID'"),
    ],
)
def test_a_wrong_head_is_said(head: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_deployments(csv_sheet(tmp_path, [head, ["A", "1"]]))
    assert message in str(caught.value)


def test_a_file_that_is_no_sheet_is_said(tmp_path: Path) -> None:
    (tmp_path / "sheet.ods").write_bytes(b"PK")
    for name in ("sheet.ods", "none.csv"):
        with pytest.raises(Exception, match=name):
            read_deployments(tmp_path / name)


def test_rows_without_files_are_told_with_the_nearest_folder() -> None:
    deployments = sheet("StatonA", "Station B", "Station Z", "season/Fen")
    lines = unmatched_rows(deployments, used=["d3"], folders=["StationA", "cards/Station Z", "elsewhere", "Fen"])
    assert lines == [
        "row 2: no file is in 'StatonA'; did you mean 'StationA'?",
        "row 4: no file is in 'Station Z'; did you mean 'cards/Station Z'?",
        "row 5: no file is in 'season/Fen'; did you mean 'Fen'?",
    ]


def test_a_sheet_of_another_season_is_one_line() -> None:
    deployments = sheet(*[f"2019-{number:02d}" for number in range(40)])
    (line,) = unmatched_rows(deployments, used=[], folders=["Beech ridge"])
    assert line == "40 rows have no file, from row 2 to row 41: '2019-00', '2019-01', '2019-02' …"


@given(st.binary(max_size=200) | st.text(alphabet='deploymntIDfr,;\n"0123456789-:. ', max_size=200).map(str.encode))
def test_no_sheet_ends_in_anything_but_one_line(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sheet.csv")
        path.write_bytes(b"deploymentID,latitude,longitude,deploymentStart,timezone\n" + data)
        try:
            read_deployments(path)
        except AnimalsError as error:
            assert "\n" not in str(error)


@pytest.mark.photos
def test_the_real_sheets_are_read(photos_dir: Path) -> None:
    shared = read_deployments(photos_dir / "field" / "tables" / "deployments.csv")
    assert shared.of("jaguar/AABP 13_20051007_1205.jpg") == "jaguar"
    assert shared.by_id["jaguar"].timezone == "-04:00"
    example = read_deployments(photos_dir / "field" / "camtrap_dp" / "deployments.csv")
    assert example.by_id["62c200a9"].latitude == 50.699
