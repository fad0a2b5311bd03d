"""Rows for a person at a terminal."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from animal_classification.cli.screen_table import LOOKED_AT, ScreenSink, column_widths, percent
from animal_classification.inference.results import Answer, Candidate, FileResult, Level, Prediction
from animal_classification.predict.job import PredictedPhoto
from animal_classification.predict.journal import JournalEntry
from animal_classification.predict.table import to_row


def item(
    path: str, name: str = "dog", *, level: Level = "group", background: str | None = None, group: str | None = "dog"
) -> PredictedPhoto:
    prediction = Prediction(
        label="poodle", label_id="p", probability=0.4, group=group, group_probability=0.8, unknown=level == "unknown",
        known_score=0.9, set=(), top=(Candidate("poodle", "p", 0.4),), answer=Answer(name, level, 0.8),
        background=background,
    )  # fmt: skip
    return wrapped(FileResult(path, prediction))


def wrapped(result: FileResult) -> PredictedPhoto:
    return PredictedPhoto(result, JournalEntry(to_row(result, model="m", version="1")), result.path)


def screen(*items: PredictedPhoto, width: int = 60) -> list[str]:
    out = io.StringIO()
    sink = ScreenSink(Console(file=out, width=width, highlight=False))
    for one in items:
        sink.add(one, None)
    sink.finish()
    return out.getvalue().splitlines()


def test_the_screen_shows_name_probability_and_group() -> None:
    assert screen(
        item("a.jpg", "poodle", level="label"),
        item("b.jpg"),
        item("c.jpg", "not an animal", level="unknown", background="chair"),
        item("d.jpg", "cat", group=None),
        wrapped(FileResult("e.jpg", error="is cut short")),
    ) == [
        "photo  animal         sure  group",
        "a.jpg  poodle          80%  dog",
        "b.jpg  dog             80%",
        "c.jpg  not an animal   80%  chair?",
        "d.jpg  cat             80%",
        "e.jpg  is cut short",
    ]


def test_names_on_the_screen_are_cut_in_front_and_harmless() -> None:
    shown = screen(item(f"{'folder/' * 20}lion.jpg"), item("\x1b[31m[bold]x\n.jpg"), item("🦁" * 40))
    assert all(cell_len(line) <= 60 for line in shown)
    assert "/lion.jpg  dog" in shown[1]
    assert "[bold]x\\n.jpg" in shown[2]
    assert "\x1b" not in "".join(shown)


def test_many_rows_come_as_they_are_known() -> None:
    out = io.StringIO()
    sink = ScreenSink(Console(file=out, width=60))
    for number in range(LOOKED_AT + 1):
        sink.add(item(f"{number}.jpg"), None)
    assert len(out.getvalue().splitlines()) == LOOKED_AT + 2
    sink.finish()
    assert len(out.getvalue().splitlines()) == LOOKED_AT + 2


@given(st.lists(st.tuples(*[st.text(max_size=90)] * 4), min_size=1), st.integers(1, 200))
def test_columns_fit(rows: list[tuple[str, ...]], width: int) -> None:
    rows = [(photo, animal, "100%", group) for photo, animal, _, group in rows]
    widths = column_widths([("photo", "animal", "sure", "group"), *rows], width)
    assert sum(widths) + 6 <= max(width, 40)
    assert all(one > 0 for one in widths)


def test_percentages_do_not_claim_certainty() -> None:
    assert [percent(number) for number in (1.0, 0.992, 0.99, 0.5, 0.01, 0.004)] == [
        ">99%", ">99%", "99%", "50%", "1%", "<1%",
    ]  # fmt: skip
