"""The tables of a batch with boxes: a merge that fails or is killed leaves nothing in the way of the next one."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from animal_classification.bundle.schema import Label
from animal_classification.errors import UsageError
from animal_classification.inference.results import FileResult
from animal_classification.predict.field_request import FieldRules
from animal_classification.predict.field_run import FieldRun
from animal_classification.predict.journal import Journal, JournalEntry
from animal_classification.predict.journal_header import JournalHeader
from animal_classification.predict.table import Row, to_row
from animal_classification.scale.field_merge import write_field
from animal_classification.scale.plan import Plan

RUN = FieldRun(
    labels=(Label(id="cat", name="cat"), Label(id="dog", name="dog")), rollup=None, unknown_name="unknown", boxes=None
)
PLAN = Plan(
    id="p",
    created=0,
    code="1",
    sources=("cards",),
    options={"top_k": 2, "field": {"time_from": None}},
    model="tiny",
    model_version="1",
    model_sha256="ab" * 32,
    shard=10,
    field_run=RUN.to_record(),
)


def a_row(name: str) -> Row:
    return to_row(FileResult(name, error="is no photo"), model="tiny", version="1")


def three_rows() -> Iterator[tuple[Row, str | None]]:
    yield from ((a_row(f"{number}.jpg"), '{"facts": {}}') for number in range(3))


def merged(folder: Path, rows: Iterator[tuple[Row, str | None]]) -> list[str]:
    write_field(PLAN, rows, folder / "m.csv", "csv", FieldRules(), overwrite=False)
    with (folder / "m.csv").open(encoding="utf-8", newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


def test_a_merge_that_fails_leaves_nothing_and_can_be_said_again(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[Row, str | None]]:
        yield from three_rows()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merged(tmp_path, broken())
    assert list(tmp_path.iterdir()) == []
    assert merged(tmp_path, three_rows()) == ["0.jpg", "1.jpg", "2.jpg"]


def left_behind(folder: Path, **other: object) -> Path:
    """What a merge leaves that was killed after its second row."""
    header = JournalHeader(
        model="tiny",
        model_version="1",
        model_sha256="ab" * 32,
        top_k=2,
        format="csv",
        paths=["cards"],
        field=RUN.to_record(),
    )
    with closing(Journal(folder / "m.csv.partial")) as journal:
        journal.begin(replace(header, **other))  # type: ignore[arg-type]
        for number in range(2):
            journal.append(JournalEntry(a_row(f"{number}.jpg"), evidence={"facts": {}}))
    return folder / "m.csv.partial"


def test_a_merge_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    assert merged(tmp_path, three_rows()) == ["0.jpg", "1.jpg", "2.jpg"]
    assert not left.exists()


def test_an_unfinished_run_of_something_else_is_kept(tmp_path: Path) -> None:
    left = left_behind(tmp_path, paths=["/other/cards as ."])
    before = left.read_bytes()
    with pytest.raises(UsageError, match="holds an unfinished run"):
        merged(tmp_path, three_rows())
    assert left.read_bytes() == before
