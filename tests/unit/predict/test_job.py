"""The parts of ``animals predict`` that need no model."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from animal_classification.cli import predict
from animal_classification.data.discovery import PhotoPaths, WalkLog
from animal_classification.errors import UsageError
from animal_classification.inference.results import Answer, Candidate, FileResult, Level, Prediction
from animal_classification.predict.batch import Item, Tally
from animal_classification.predict.interrupts import sigterm_like_ctrl_c, stop_asked
from animal_classification.predict.journal import JournalEntry
from animal_classification.predict.progress_bar import ProgressBar
from animal_classification.predict.request import PredictRequest
from animal_classification.predict.sorting import WAYS
from animal_classification.predict.summary import KINDS_SHOWN, PredictSummary
from animal_classification.predict.table import to_row
from animal_classification.predict.writers.screen import LOOKED_AT, ScreenSink, column_widths, percent


def request(**options: Any) -> PredictRequest:
    given: dict[str, Any] = {
        "paths": ("p",), "model": "photos", "engine": "auto", "threads": None, "output": None, "format": None,
        "top_k": 5, "resume": False, "sort_into": None, "way": None, "dry_run": False, "as_json": False,
        "quiet": False, **options,
    }  # fmt: skip
    return PredictRequest(**given)


def item(
    path: str, name: str = "dog", *, level: Level = "group", background: str | None = None, group: str | None = "dog"
) -> Item:
    prediction = Prediction(
        label="poodle", label_id="p", probability=0.4, group=group, group_probability=0.8, unknown=level == "unknown",
        known_score=0.9, set=(), top=(Candidate("poodle", "p", 0.4),), answer=Answer(name, level, 0.8),
        background=background,
    )  # fmt: skip
    return wrapped(FileResult(path, prediction))


def wrapped(result: FileResult) -> Item:
    return Item(result, JournalEntry(to_row(result, model="m", version="1")), result.path)


def test_there_is_an_option_for_every_way_to_sort() -> None:
    assert {option.opts[0] for option in predict.command.params if option.name == "way"} == {f"--{way}" for way in WAYS}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "x.ods"}, "ends in none of .csv, .xlsx, .json, .jsonl and .parquet"),
        ({"output": "x"}, "ends in none of"),
        ({"resume": True}, "--resume goes on with a file"),
        ({"resume": True, "output": "-"}, "--resume goes on with a file"),
        ({"dry_run": True}, "add --sort-into DIR"),
        ({"way": "link"}, "--link says how to sort"),
        ({"as_json": True, "output": "-"}, "both want the standard output"),
        ({"as_json": True, "format": "csv"}, "drop one"),
        ({"format": "parquet"}, "parquet cannot go to the standard output"),
        ({"format": "parquet", "output": "-"}, "parquet cannot go to the standard output"),
    ],
)
def test_contradictions_are_found(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        request(**options).check()


@pytest.mark.parametrize(
    ("options", "target", "kind"),
    [
        ({}, "stream", "csv"),
        ({"output": "-", "format": "json"}, "stream", "json"),
        ({"output": "x.PARQUET"}, "file", "parquet"),
        ({"output": "x.txt", "format": "jsonl"}, "file", "jsonl"),
        ({"output": "x.csv", "as_json": True, "resume": True}, "file", "csv"),
        ({"as_json": True}, "object", "csv"),
        ({"sort_into": "d", "dry_run": True, "output": "x.csv"}, "plan", "csv"),
    ],
)
def test_where_rows_go(options: dict[str, Any], target: str, kind: str) -> None:
    asked = request(**options)
    asked.check()
    assert (asked.target, asked.table_format) == (target, kind)


def test_a_terminal_gets_a_table_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert request().target == "screen"
    assert request(output="-").target == "stream"


def screen(*items: Item, width: int = 60) -> list[str]:
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


def summary(tally: Tally, *, skipped: int = 0) -> PredictSummary:
    return PredictSummary(
        tally=tally, log=WalkLog(Counter(video=skipped)), model="photos", model_version="1", seconds=2.0, rate=5.0,
        output="x\n.csv", sorter=None, dry_run=False, interrupted=False,
    )  # fmt: skip


def test_the_summary_counts_names_unknown_and_unreadable() -> None:
    tally = Tally(photos=10, unreadable=1, unknown=2, animals=Counter({"dog": 2, "lion": 4, "cat": 1}))
    assert summary(tally, skipped=1).lines("not an animal") == [
        r"10 photos in 2.0 s (5/s) -> x\n.csv",
        "  lion           4",
        "  dog            2",
        "  cat            1",
        "  not an animal  2",
        "  unreadable     1",
        "not looked at: 1 video (--all-files gives each a row)",
    ]


def test_a_long_summary_is_folded() -> None:
    tally = Tally(photos=100, animals=Counter({f"animal {number}": 1 for number in range(100)}))
    lines = summary(tally).lines("not an animal")
    assert len(lines) == KINDS_SHOWN + 2
    assert lines[-1] == f"  80 other kinds  {100 - KINDS_SHOWN}"


def test_the_object_says_the_same() -> None:
    tally = Tally(photos=10, unreadable=1, unknown=2, animals=Counter({"dog": 2, "lion": 4}))
    found = summary(tally).as_object()
    assert found == {
        "photos": 10, "unreadable": 1, "unknown": 2, "skipped": 0, "skipped_kinds": {},
        "seconds": 2.0, "rate": 5.0, "output": "x\n.csv",
        "model": "photos", "model_version": "1", "interrupted": False, "animals": {"lion": 4, "dog": 2},
    }  # fmt: skip
    assert list(found["animals"]) == ["lion", "dog"]


def test_the_first_signal_asks_and_the_second_ends() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_asked() as asked:
        assert not asked()
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_tidies_up_too() -> None:
    with sigterm_like_ctrl_c(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


def test_other_threads_do_not_touch_signals() -> None:
    asked: list[bool] = []

    def work() -> None:
        with stop_asked() as stopped:
            asked.append(stopped())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]


def test_the_bar_appears_late_and_only_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).touch()
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("TERM", "xterm")
    for shown, late in ((True, False), (False, True), (True, True)):
        clock[0] = 0.0
        bar = ProgressBar(PhotoPaths([str(tmp_path)]), done=1, shown=shown)
        while bar.total is None:
            time.sleep(0.001)
        clock[0] = 4.0 if late else 1.0
        bar.advance()
        assert bar.rate == pytest.approx(1 / clock[0])
        bar.close()
        assert bool(out.getvalue()) == (shown and late)
    assert "2/3" in out.getvalue()
