"""Every format gives back what was written, whatever the files are called."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
import python_calamine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animal_classification.errors import UsageError
from animal_classification.predict.table import LabelGuess, Row, columns
from animal_classification.predict.writers.excel import read_excel, write_excel
from animal_classification.predict.writers.parquet import read_parquet, write_parquet
from animal_classification.predict.writers.text import (
    FORMATS,
    FORMULA_STARTS,
    Format,
    TextWriter,
    cells,
    format_of,
    from_cells,
    read_text,
    to_json,
    write_text,
)

HOSTILE = [
    "plain.jpg",
    " leading and trailing .jpg ",
    "quo\"te's.jpg",
    "new\nline.jpg",
    "carriage\rreturn\r\n.jpg",
    "comma,semi;tab\t.jpg",
    "🦁.jpg",
    "أسد.jpg",
    r"caf\xe9.jpg",
    "=HYPERLINK(1).jpg",
    "-rf.jpg",
    "+1.jpg",
    "@SUM(A1).jpg",
    "＝1.jpg",
    "\t=1.jpg",
    "2024-01-01.jpg",
    "null",
    "1e5",
    "true",
    "{}[]",
    "\x1b[31mred.jpg",
    "\u202egpj.exe",
]
GUESSES: list[LabelGuess] = [
    {"label": "lion", "label_id": "n1", "probability": 0.9},
    {"label": 'a|b, "c"', "label_id": "n2", "probability": 0.000001},
]


def a_row(path: str, **other: Any) -> Row:
    row: Row = {
        "path": path,
        "answer": "big cat",
        "answer_probability": 0.95,
        "label": "lion",
        "label_id": "n1",
        "probability": 0.9,
        "group": "cat",
        "group_probability": 1.0,
        "unknown": False,
        "set": ["lion"],
        "top": GUESSES,
        "model": "photos",
        "model_version": "1",
        "error": None,
    }
    return {**row, **other}  # type: ignore[typeddict-item, return-value]


def unreadable(path: str) -> Row:
    nothing = dict.fromkeys(
        ("answer", "answer_probability", "label", "label_id", "probability", "group", "group_probability", "unknown")
    )
    return a_row(path, **nothing, set=[], top=[], error="is cut short, or\ndamaged")


ROWS = [a_row(name) for name in HOSTILE] + [
    unreadable("bad.jpg"),
    a_row("ungrouped.jpg", group=None, group_probability=None, unknown=True, set=[]),
    a_row("one.jpg", top=GUESSES[:1], set=["a", "b"]),
]

fractions = st.integers(0, 1_000_000).map(lambda millionths: millionths / 1_000_000)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def without_ids(row: Row) -> Row:
    """What csv and parquet hold: no ids of the further guesses."""
    top: list[LabelGuess] = [
        guess if rank == 0 else {**guess, "label_id": None} for rank, guess in enumerate(row["top"])
    ]
    return {**row, "top": top}


def written(rows: list[Row], path: Path, kind: Format, top_k: int = 3) -> list[Row]:
    """The rows as read back from a file at ``path``."""
    if kind == "parquet":
        lines = path.with_suffix(".lines")
        lines.write_bytes(b'{"header": 1}\n' + b"".join(to_json({**row, "state": None}) + b"\n" for row in rows))
        write_parquet(lines, path, top_k=top_k, threads=2)
        return list(read_parquet(path, top_k))
    if kind == "xlsx":
        write_excel(rows, path, top_k)
        return list(read_excel(path, top_k))
    with path.open("wb") as file:
        write_text(rows, file, kind, top_k)
    return list(read_text(path, kind, top_k))


def read(path: Path, kind: Format, top_k: int) -> list[Row]:
    """The rows of a file, whatever its format."""
    if kind in ("parquet", "xlsx"):
        return list(read_parquet(path, top_k) if kind == "parquet" else read_excel(path, top_k))
    return list(read_text(path, kind, top_k))


@pytest.mark.parametrize("kind", FORMATS)
def test_hostile_names_come_back(tmp_path: Path, kind: Format) -> None:
    expected = ROWS if kind in ("json", "jsonl") else [without_ids(row) for row in ROWS]
    assert written(ROWS, tmp_path / f"x.{kind}", kind) == expected


@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_table(tmp_path: Path, kind: Format) -> None:
    assert written([], tmp_path / f"x.{kind}", kind) == []


@given(
    st.lists(
        st.builds(a_row, path=text, label=text, label_id=text, probability=fractions, unknown=st.booleans())
        | st.builds(unreadable, path=text),
        max_size=5,
    ),
    st.sampled_from(FORMATS),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back(tmp_path: Path, rows: list[Row], kind: Format) -> None:
    for row in rows:
        if row["label"] is not None:  # the first guess says the same
            first: LabelGuess = {
                "label": row["label"],
                "label_id": row["label_id"],
                "probability": row["probability"] or 0.0,
            }
            row["top"] = [first, *GUESSES[1:]]
    expected = rows if kind in ("json", "jsonl") else [without_ids(row) for row in rows]
    assert written(rows, tmp_path / f"x.{kind}", kind) == expected


@given(fractions)
def test_numbers_keep_six_digits_and_are_never_written_with_an_exponent(number: float) -> None:
    cell = cells(a_row("a.jpg", probability=number), 1)[5]
    assert float(cell) == number
    assert "e" not in cell


def test_csv_is_what_other_readers_expect(tmp_path: Path) -> None:
    written(ROWS, tmp_path / "x.csv", "csv")
    raw = (tmp_path / "x.csv").read_bytes()
    assert raw.startswith(b"path,answer,answer_probability,label,")
    assert raw.endswith(b"\r\n")
    table = list(csv.DictReader(io.StringIO(raw.decode("utf-8"), newline="")))
    assert list(table[0]) == columns(3)
    names = [row["path"] for row in table[: len(HOSTILE)]]
    assert [name.removeprefix("./") for name in names] == HOSTILE
    assert not any(name.startswith(("=", "+", "-", "@", "\t", "\r", "＝")) for name in names)
    assert table[0]["unknown"] == "false"
    assert table[-1]["set"] == "a|b"


def test_json_is_one_array(tmp_path: Path) -> None:
    written(ROWS, tmp_path / "x.json", "json")
    assert json.loads((tmp_path / "x.json").read_bytes()) == ROWS


def test_parquet_has_types_and_nothing_is_an_empty_word(tmp_path: Path) -> None:
    written(ROWS, tmp_path / "x.parquet", "parquet")
    table = duckdb.sql(f"DESCRIBE FROM '{tmp_path / 'x.parquet'}'").fetchall()
    types = {name: kind for name, kind, *_ in table}
    assert list(types) == columns(3)
    assert {name for name, kind in types.items() if kind == "DOUBLE"} == {
        "answer_probability", "probability", "group_probability", "probability_2", "probability_3",
    }  # fmt: skip
    assert types["unknown"] == "BOOLEAN"
    rows = duckdb.sql(f"SELECT label, \"set\", error FROM '{tmp_path / 'x.parquet'}' WHERE label IS NULL").fetchall()
    assert rows == [(None, None, "is cut short, or\ndamaged")]


def test_parquet_goes_where_names_look_like_patterns(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]*? 'c' {d}"
    folder.mkdir()
    assert written(ROWS[:1], folder / "x[1].parquet", "parquet") == [without_ids(ROWS[0])]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_stranger_is_not_taken_for_a_table(tmp_path: Path, kind: Format) -> None:
    path = tmp_path / f"x.{kind}"
    for content in (b"", b"hello\n", b'{"a": 1}\n', b"[\n1\n]\n", b"\xff\xfe", b'[{"a":\n', b"path,label\r\na,b\r\n"):
        path.write_bytes(content)
        if kind == "jsonl" and not content:
            continue  # an empty table
        with pytest.raises(UsageError, match="cannot go on with"):
            read(path, kind, 3)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_another_top_k_is_noticed(tmp_path: Path, kind: Format) -> None:
    path = tmp_path / f"x.{kind}"
    written(ROWS, path, kind, top_k=3)
    with pytest.raises(UsageError, match="--top-k 5"):
        read(path, kind, 5)


def test_a_cut_json_is_noticed(tmp_path: Path) -> None:
    written(ROWS, tmp_path / "x.json", "json")
    lines = (tmp_path / "x.json").read_bytes().splitlines(keepends=True)
    (tmp_path / "x.json").write_bytes(b"".join(lines[:-1]))
    with pytest.raises(UsageError, match="its end is missing"):
        list(read_text(tmp_path / "x.json", "json", 3))


def test_cells_of_the_wrong_number_are_refused() -> None:
    with pytest.raises(ValueError, match="cells"):
        from_cells(["a"], 1)


def test_the_ending_says_the_format() -> None:
    assert [format_of(name) for name in ("a.CSV", "a.xlsx", "a.b.json", "a.jsonl", "a.parquet", "a.txt", "csv")] == [
        "csv", "xlsx", "json", "jsonl", "parquet", None, None,
    ]  # fmt: skip


def test_a_writer_can_be_fed_row_by_row() -> None:
    writer = TextWriter("json", 3)
    assert json.loads(writer.start() + writer.row(ROWS[0]) + writer.row(ROWS[1]) + writer.end()) == ROWS[:2]


def test_a_long_table_goes_on_in_another_sheet(tmp_path: Path) -> None:
    rows = [a_row(f"{number}.jpg", top=GUESSES[:1]) for number in range(7)]
    write_excel(rows, tmp_path / "x.xlsx", 1, max_rows=4)
    workbook = python_calamine.CalamineWorkbook.from_path(str(tmp_path / "x.xlsx"))
    assert [len(workbook.get_sheet_by_name(name).to_python()) for name in workbook.sheet_names] == [4, 4, 2]
    assert list(read_excel(tmp_path / "x.xlsx", 1)) == rows


def test_a_workbook_has_numbers_and_no_formulas(tmp_path: Path) -> None:
    write_excel([a_row("=1+1.jpg", answer="=2", label="http://a.example")], tmp_path / "x.xlsx", 1)
    with zipfile.ZipFile(tmp_path / "x.xlsx") as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    (_, line) = python_calamine.CalamineWorkbook.from_path(str(tmp_path / "x.xlsx")).get_sheet_by_index(0).to_python()
    assert line[:6] == ["=1+1.jpg", "=2", 0.95, "http://a.example", "n1", 0.9]


STRANGE = ["=HYPERLINK(1)", "-x", "+1", "@SUM(A1)", "\t=1", "\r", "＝1", "'=1", "''-1", "'lion'", "a=b"]
WORDS = ("label", "label_id", "group", "set", "model", "model_version")


@pytest.mark.parametrize("words", STRANGE)
def test_words_of_a_strangers_bundle_are_no_formulas(words: str) -> None:
    """Label, id, group, set, further guesses, model, version: all come from the bundle."""
    guesses: list[LabelGuess] = [{"label": words, "label_id": words, "probability": 0.5}] * 2
    row: Row = {
        "path": "a.jpg",
        "answer": words,
        "answer_probability": 0.5,
        "label": words,
        "label_id": words,
        "probability": 0.5,
        "group": words,
        "group_probability": 0.5,
        "unknown": False,
        "set": [words],
        "top": guesses,
        "model": words,
        "model_version": words,
        "error": None,
    }
    texts = cells(row, 2)
    assert not any(text.startswith(FORMULA_STARTS) for text in texts)
    back = from_cells(texts, 2)
    assert [dict(back)[name] for name in WORDS] == [dict(row)[name] for name in WORDS]
    assert back["top"][1]["label"] == words
