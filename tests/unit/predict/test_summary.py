"""What is said about a run at its end."""

from __future__ import annotations

from collections import Counter

from animal_classification.data.discovery import WalkLog
from animal_classification.inference.results import Answer, Candidate, FileResult, Prediction
from animal_classification.predict.journal import JournalEntry
from animal_classification.predict.summary import KINDS_SHOWN, PredictSummary, Tally
from animal_classification.predict.table import to_row


def prediction(name: str = "dog", *, unknown: bool = False) -> Prediction:
    return Prediction(
        label="poodle", label_id="p", probability=0.4, group="dog", group_probability=0.8, unknown=unknown,
        known_score=0.9, set=(), top=(Candidate("poodle", "p", 0.4),), answer=Answer(name, "group", 0.8),
    )  # fmt: skip


def test_a_tally_counts_what_a_person_is_told() -> None:
    tally = Tally()
    for result in (
        FileResult("a", prediction("dog")),
        FileResult("b", prediction("dog")),
        FileResult("c", prediction("not an animal", unknown=True)),
        FileResult("d", error="is empty"),
    ):
        tally.add(JournalEntry(to_row(result, model="m", version="1")))
    assert (tally.photos, tally.unreadable, tally.unknown, tally.animals) == (4, 1, 1, {"dog": 2})


def summary(tally: Tally, *, skipped: int = 0) -> PredictSummary:
    return PredictSummary(
        tally=tally, log=WalkLog(Counter(video=skipped)), model="photos", model_version="1",
        unknown_name="not an animal", seconds=2.0, rate=5.0,
        output="x\n.csv", sorter=None, dry_run=False, interrupted=False,
    )  # fmt: skip


def test_the_summary_counts_names_unknown_and_unreadable() -> None:
    tally = Tally(photos=10, unreadable=1, unknown=2, animals=Counter({"dog": 2, "lion": 4, "cat": 1}))
    assert summary(tally, skipped=1).lines() == [
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
    lines = summary(tally).lines()
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
