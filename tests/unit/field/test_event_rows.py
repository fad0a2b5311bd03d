"""What was in an event, in numbers."""

from __future__ import annotations

from datetime import datetime

from animal_classification.field.event_rows import EVENT_COLUMNS, EventFile, Sighting, event_rows

NOON = datetime(2026, 5, 1, 12)
FILES = [EventFile("a.jpg", NOON), EventFile("b.jpg", NOON.replace(minute=2)), EventFile("c.jpg", None, readable=False)]


def seen(path: str, answer: str = "red fox", **more: object) -> Sighting:
    given = {"category": "animal", "answer_level": "label", "probability": 0.9, "confidence": 0.5, **more}
    return Sighting(path=path, answer=answer, **given)  # type: ignore[arg-type]


def test_the_count_is_the_largest_number_in_one_picture() -> None:
    animals = [seen("a.jpg"), seen("a.jpg"), seen("b.jpg", confidence=0.9), seen("b.jpg", "person", category="person")]
    fox, person = event_rows("A#1", "A", FILES, animals)
    assert (fox.answer, fox.count, fox.files_with, fox.files, fox.best_path) == ("red fox", 2, 2, 3, "b.jpg")
    assert (person.category, person.count, person.files_with) == ("person", 1, 1)
    assert (fox.start, fox.end) == (NOON, NOON.replace(minute=2))


def test_frames_of_a_video_are_counted_one_by_one() -> None:
    (row,) = event_rows("A#1", "A", FILES[:1], [seen("a.jpg", frame=frame) for frame in (0, 0, 1)])
    assert row.count == 2


def test_nothing_seen_is_one_blank_row_and_nothing_readable_is_not_blank() -> None:
    (blank,) = event_rows("A#1", "A", FILES, [])
    assert (blank.answer, blank.answer_level, blank.count, blank.category) == ("blank", "blank", 0, "")
    (unreadable,) = event_rows("A#2", "A", FILES[2:], [])
    assert (unreadable.answer, unreadable.start) == ("unreadable", None)


def test_the_order_of_what_was_seen_changes_nothing() -> None:
    animals = [seen("b.jpg"), seen("a.jpg"), seen("a.jpg", "coyote"), seen("b.jpg", "coyote")]
    rows = event_rows("A#1", "A", FILES, animals)
    assert event_rows("A#1", "A", FILES[::-1], animals[::-1]) == rows
    assert [row.best_path for row in rows] == ["a.jpg", "a.jpg"], "of equally good files, the first by name"


def test_of_taxa_in_as_many_files_the_surest_comes_first() -> None:
    animals = [seen("a.jpg", "animal", confidence=0.1), seen("a.jpg", "zebra", confidence=0.9)]
    assert [row.answer for row in event_rows("A#1", "A", FILES, animals)] == ["zebra", "animal"]


def test_a_row_has_the_columns_of_the_table() -> None:
    fox = seen("a.jpg", lineage=("Mammalia", "Carnivora", "Canidae", "Vulpes", "vulpes"))
    (row,) = event_rows("A#1", "A", FILES, [fox])
    values = row.values()
    assert tuple(values) == EVENT_COLUMNS
    assert (values["start"], values["class"], values["species"]) == ("2026-05-01T12:00:00", "Mammalia", "vulpes")
