"""A table that appears whole, goes on where it was, and never takes the place of something better."""

from __future__ import annotations

import stat
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import xlsxwriter

from animal_classification.common import reading_budget
from animal_classification.errors import OutputError, UsageError
from animal_classification.inference.results import FileResult
from animal_classification.predict.journal import JournalEntry
from animal_classification.predict.journal_header import JournalHeader
from animal_classification.predict.table import LabelGuess, Row, to_row
from animal_classification.predict.writers.excel import read_excel
from animal_classification.predict.writers.parquet import read_parquet
from animal_classification.predict.writers.table_file import TableFile
from animal_classification.predict.writers.text import FORMATS, Format, read_text, to_json

HEADER = JournalHeader(model="tiny", model_version="1", model_sha256="0" * 64, top_k=3, format="csv", paths=["/p as ."])


def entry(name: str) -> JournalEntry:
    row = to_row(FileResult(name), model="tiny", version="1")
    guess: LabelGuess = {"label": "cat", "label_id": "c", "probability": 0.5}
    row.update({"label": "cat", "label_id": "c", "probability": 0.5, "unknown": False, "top": [guess, guess]})
    return JournalEntry(row)


def start(table: TableFile, kind: Format, *, resume: bool = False) -> list[str]:
    header = replace(HEADER, format=kind)
    return [one.row["path"] for one in table.start(header, guesses=2, resume=resume)]


def make(path: Path, kind: Format, *names: str) -> None:
    table = TableFile(str(path), kind)
    start(table, kind)
    for name in names:
        table.append(entry(name))
    table.finish()


def read(path: Path, kind: Format) -> list[str]:
    if kind == "xlsx":
        return [row["path"] for row in read_excel(path, 3)]
    rows = read_parquet(path, 3) if kind == "parquet" else read_text(path, kind, 3)
    return [row["path"] for row in rows]


@pytest.mark.parametrize("kind", FORMATS)
def test_it_appears_at_the_end_and_alone(tmp_path: Path, kind: Format) -> None:
    path = tmp_path / f"x.{kind}"
    table = TableFile(str(path), kind)
    assert start(table, kind) == []
    table.append(entry("a.jpg"))
    assert [file.name for file in tmp_path.iterdir()] == [f"x.{kind}.partial"]
    table.finish()
    table.close()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert read(path, kind) == ["a.jpg"]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_finished_table_can_be_gone_on_with(tmp_path: Path, kind: Format) -> None:
    path = tmp_path / f"x.{kind}"
    make(path, kind, "a.jpg", "b\n.jpg")
    table = TableFile(str(path), kind, resume=True)
    assert start(table, kind, resume=True) == ["a.jpg", "b\n.jpg"]
    table.append(entry("c.jpg"))
    table.finish()
    assert read(path, kind) == ["a.jpg", "b\n.jpg", "c.jpg"]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_finished_table_of_another_kind_is_refused_and_kept(tmp_path: Path, kind: Format) -> None:
    path = tmp_path / f"x.{kind}"
    make(path, kind, "a.jpg")
    before = path.read_bytes()
    for header, guesses, message in (
        (replace(HEADER, format=kind, model_version="2"), 2, "model tiny 1, not model tiny 2"),
        (replace(HEADER, format=kind, top_k=4), 4, "top-k"),
    ):
        table = TableFile(str(path), kind, resume=True)
        with pytest.raises(UsageError, match=message):
            table.start(header, guesses=guesses, resume=True)
        table.close()
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_unfinished_run_is_never_thrown_away(tmp_path: Path) -> None:
    path = str(tmp_path / "x.csv")
    table = TableFile(path, "csv")
    start(table, "csv")
    table.append(entry("a.jpg"))
    table.close()  # as after a crash
    with pytest.raises(UsageError, match="add --resume"):
        TableFile(path, "csv")
    table = TableFile(path, "csv", resume=True)
    assert start(table, "csv", resume=True) == ["a.jpg"]
    table.finish()


def test_a_run_without_rows_is_no_loss(tmp_path: Path) -> None:
    table = TableFile(str(tmp_path / "x.csv"), "csv")
    start(table, "csv")
    table.close()
    table = TableFile(str(tmp_path / "x.csv"), "csv")
    table.close(discard=True)
    assert list(tmp_path.iterdir()) == []


def test_other_options_than_the_unfinished_run_are_named(tmp_path: Path) -> None:
    table = TableFile(str(tmp_path / "x.csv"), "csv")
    start(table, "csv")
    table.append(entry("a.jpg"))
    table.close()
    table = TableFile(str(tmp_path / "x.csv"), "csv", resume=True)
    with pytest.raises(UsageError, match="begun with --top-k 3, not 5"):
        table.start(replace(HEADER, top_k=5), guesses=2, resume=True)
    table.close()
    assert (tmp_path / "x.csv.partial").exists()


def test_stopping_writes_what_is_done_and_can_be_gone_on_with(tmp_path: Path) -> None:
    table = TableFile(str(tmp_path / "x.csv"), "csv")
    start(table, "csv")
    table.append(entry("a.jpg"))
    assert table.stop() == "written"
    table.close()
    assert read(tmp_path / "x.csv", "csv") == ["a.jpg"]
    table = TableFile(str(tmp_path / "x.csv"), "csv", resume=True)
    assert start(table, "csv", resume=True) == ["a.jpg"]
    table.append(entry("b.jpg"))
    assert table.stop() == "written"
    assert read(tmp_path / "x.csv", "csv") == ["a.jpg", "b.jpg"]
    table.finish()
    assert [file.name for file in tmp_path.iterdir()] == ["x.csv"]


def test_stopping_leaves_the_table_of_an_earlier_run(tmp_path: Path) -> None:
    make(tmp_path / "x.csv", "csv", "old1.jpg", "old2.jpg")
    for resume in (False, True):
        table = TableFile(str(tmp_path / "x.csv"), "csv", resume=resume)
        start(table, "csv", resume=resume)
        table.append(entry(f"{resume}.jpg"))
        assert table.stop() == "kept apart"
        table.close()
        assert read(tmp_path / "x.csv", "csv") == ["old1.jpg", "old2.jpg"]
    table = TableFile(str(tmp_path / "x.csv"), "csv", resume=True)
    start(table, "csv", resume=True)
    table.finish()
    assert read(tmp_path / "x.csv", "csv") == ["False.jpg", "True.jpg"]


def test_a_kill_between_the_table_and_the_journals_end_repeats_nothing(tmp_path: Path) -> None:
    table = TableFile(str(tmp_path / "x.csv"), "csv")
    start(table, "csv")
    table.append(entry("a.jpg"))
    table.stop()
    table.close()
    table = TableFile(str(tmp_path / "x.csv"), "csv", resume=True)
    assert start(table, "csv", resume=True) == ["a.jpg"]
    table.finish()
    assert read(tmp_path / "x.csv", "csv") == ["a.jpg"]


def test_a_kill_while_a_finished_table_is_read_back_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"
    make(path, "csv", "a.jpg", "b.jpg")

    def half(self: TableFile, top_k: int) -> list[Row]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TableFile, "_read", half)
        table = TableFile(str(path), "csv", resume=True)
        with pytest.raises(KeyboardInterrupt):
            start(table, "csv", resume=True)
        table.close()
    assert read(path, "csv") == ["a.jpg", "b.jpg"]
    table = TableFile(str(path), "csv", resume=True)
    assert start(table, "csv", resume=True) == ["a.jpg", "b.jpg"]
    table.finish()


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes")
def test_a_link_is_followed_and_the_mode_is_kept(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "y.csv").touch(0o640)
    (tmp_path / "real" / "y.csv").chmod(0o640)
    (tmp_path / "x.csv").symlink_to("real/y.csv")
    make(tmp_path / "x.csv", "csv", "a.jpg")
    assert (tmp_path / "x.csv").is_symlink()
    assert stat.S_IMODE((tmp_path / "real" / "y.csv").stat().st_mode) == 0o640
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["y.csv"]


def test_places_where_no_table_can_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        TableFile(str(tmp_path), "csv")
    with pytest.raises(OutputError, match="there is no folder"):
        TableFile(str(tmp_path / "no" / "x.csv"), "csv")
    with pytest.raises(OutputError, match="cannot write"):
        TableFile(str(tmp_path / ("x" * 250)), "csv")
    if sys.platform != "win32":
        with pytest.raises(UsageError, match="not a regular file"):
            TableFile("/dev/null", "csv")
        with pytest.raises(UsageError, match="UTF-8"):
            TableFile(str(tmp_path / "\udcff.parquet"), "parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_at_the_end_loses_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from animal_classification.predict.writers import table_file as module

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    table = TableFile(str(tmp_path / "x.csv"), "csv")
    start(table, "csv")
    table.append(entry("a.jpg"))
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_text", full)
        with pytest.raises(OutputError, match="the disk is full; the rows are safe"):
            table.finish()
    table.close()
    assert [file.name for file in tmp_path.iterdir()] == ["x.csv.partial"]


def test_its_files_are_known_beforehand(tmp_path: Path) -> None:
    assert [path.name for path in TableFile.files(str(tmp_path / "x.csv"))] == [
        "x.csv", "x.csv.partial", "x.csv.partial.new",
    ]  # fmt: skip


def test_rows_of_the_journal_are_rows_of_jsonl(tmp_path: Path) -> None:
    make(tmp_path / "x.jsonl", "jsonl", "a.jpg")
    assert (tmp_path / "x.jsonl").read_bytes() == to_json(entry("a.jpg").row) + b"\n"


@pytest.mark.parametrize("content", [b"x" * 200_000, b'"' + b"x" * 200_000])
def test_whatever_a_strangers_file_holds_it_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(UsageError, match="is there, and no table that animals predict wrote"):
        TableFile(str(tmp_path / "x.csv"), "csv")


def go_on(file: Path, kind: Format, *, resume: bool) -> None:
    with closing(TableFile(str(file), kind, resume=resume)) as table:
        list(table.start(HEADER, guesses=3, resume=resume))


@pytest.mark.parametrize("name", ["t.xlsx", "t.jsonl", "t.json", "t.csv"])
def test_a_strangers_file_in_its_place_is_refused_and_kept(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cells in opposite corners were unpacked to see whose workbook it is; nested JSON was an internal error."""
    monkeypatch.setattr(reading_budget, "available_memory", lambda: 256 << 20)
    file = tmp_path / name
    if name == "t.xlsx":
        with xlsxwriter.Workbook(str(file)) as book:
            sheet = book.add_worksheet()
            sheet.write(0, 0, "path")
            sheet.write(1_048_575, 16_383, "label")
    else:
        file.write_bytes((b"[\n" if name == "t.json" else b"") + b'{"a":' + b"[" * 100_000 + b"\n")
    before = file.read_bytes()
    for resume in (False, True):
        with pytest.raises(UsageError) as caught:
            go_on(file, cast("Format", name[2:]), resume=resume)
        assert "\n" not in str(caught.value)
    assert file.read_bytes() == before
