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


EGRET = ("Aves", "Pelecaniformes", "Ardeidae", "Ardea", "alba")


def heron(path: str, rank: int = 5, burst: str = "A#1.1", **more: object) -> Sighting:
    """A great egret, or what is known of one down to a rank."""
    level = "label" if rank == 5 else ("class", "order", "family", "genus")[rank - 1]
    answer = "great egret" if rank == 5 else EGRET[rank - 1]
    lineage = (*EGRET[:rank], *("",) * (5 - rank))
    return seen(path, answer, answer_level=level, lineage=lineage, scientific_name=answer, burst=burst, **more)


def rows_of(*sightings: Sighting) -> list[tuple[str, int, int]]:
    files = [EventFile(path, NOON) for path in sorted({one.path for one in sightings})]
    return [(row.answer, row.files_with, row.count) for row in event_rows("A#1", "A", files, sightings)]


def test_a_bird_that_some_pictures_of_a_burst_show_less_well_has_one_row() -> None:
    found = [heron("a.jpg"), heron("b.jpg", 3, confidence=0.99), heron("c.jpg", 1), heron("d.jpg", 4)]
    assert rows_of(*found) == [("great egret", 4, 1)]
    (row,) = event_rows("A#1", "A", FILES, found)
    assert row.best_path == "a.jpg", "a picture that shows what the row says"
    assert rows_of(heron("a.jpg", 3), heron("b.jpg", 1)) == [("Ardeidae", 2, 1)]


def test_two_animals_at_once_stay_two_rows() -> None:
    assert sorted(rows_of(heron("a.jpg"), heron("a.jpg", 3))) == [("Ardeidae", 1, 1), ("great egret", 1, 1)]
    flock = [heron("a.jpg"), heron("b.jpg", 3), heron("b.jpg", 3)]
    assert sorted(rows_of(*flock)) == [("Ardeidae", 1, 2), ("great egret", 1, 1)]


def test_a_wider_answer_is_taken_for_nothing_where_two_are_possible_or_another_burst_shows_it() -> None:
    other = seen(
        "b.jpg", "grey heron", answer_level="label", lineage=(*EGRET[:4], "cinerea"), scientific_name="x", burst="A#1.1"
    )
    assert len(rows_of(heron("a.jpg"), other, heron("c.jpg", 3))) == 3
    assert len(rows_of(heron("a.jpg"), heron("c.jpg", 3, burst="A#1.2"))) == 2
    assert len(rows_of(heron("a.jpg", burst=""), heron("c.jpg", 3, burst=""))) == 2, "without --smooth burst"


def test_an_answer_that_is_no_taxon_is_taken_for_nothing() -> None:
    group = {"answer_level": "group", "lineage": ("Aves", "", "", "", ""), "burst": "A#1.1"}
    assert len(rows_of(heron("a.jpg"), seen("b.jpg", "wading bird", **group))) == 2
    assert len(rows_of(heron("a.jpg"), seen("b.jpg", "animal", answer_level="animal", burst="A#1.1"))) == 2
    breeds = {"answer_level": "label", "lineage": ("Mammalia", "Carnivora", "Canidae", "Canis", ""), "burst": "A#1.1"}
    assert len(rows_of(seen("a.jpg", "pug", **breeds), seen("b.jpg", "beagle", **breeds))) == 2
