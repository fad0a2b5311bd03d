"""The page of a folder's events: safe whatever files are called, and whole without its script."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from animal_classification.report import timeline_page
from animal_classification.report.timeline_page import (
    TimelineAnswer,
    TimelineBox,
    TimelineEvent,
    TimelineFile,
    clock,
    days,
    first_events,
    render,
    write_timeline,
)
from tests.support.trail_photos import jpeg, put

NOON = datetime(2026, 5, 1, 12)
HOSTILE = "\"><script>alert(1)</script>'&.jpg"


def event(name: str, start: datetime | None, **more: object) -> TimelineEvent:
    given = {
        "deployment": "Beech ridge",
        "answers": [TimelineAnswer("red fox", "animal", 2, 0.93, "Vulpes vulpes")],
        "best_path": "a.jpg",
        "files": [TimelineFile("a.jpg", "12:00:00", "red fox")],
        **more,
    }
    return TimelineEvent(name=name, start=start, end=start, **given)  # type: ignore[arg-type]


BLANK = event("B#1", NOON, answers=[TimelineAnswer("blank", "", 0, None)])


def policy(page: str) -> str:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found
    return found[1]


@pytest.mark.parametrize("part", ["script", "style"])
def test_the_policy_names_what_stands_in_the_page(part: str) -> None:
    page = render([event("A#1", NOON)], "cards", count=1)
    (text,) = re.findall(rf"<{part}>(.*?)</{part}>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert f"{part}-src 'sha256-{digest}'" in policy(page)
    assert "unsafe" not in policy(page)
    assert policy(page).startswith("default-src 'none'; img-src data:;")
    assert " style=" not in page
    assert " onclick=" not in page


def test_names_are_text_and_nothing_else() -> None:
    box = TimelineBox(0.1, 0.2, 0.3, 0.4, "animal", HOSTILE)
    one = event(
        HOSTILE,
        NOON,
        deployment=HOSTILE,
        best_path=HOSTILE,
        files=[TimelineFile(HOSTILE, "", HOSTILE)],
        answers=[TimelineAnswer(HOSTILE, "animal", 1, 0.5, HOSTILE)],
        boxes=[box],
        picture="data:image/jpeg;base64,AAAA",
    )
    page = render([one], HOSTILE, count=1)
    assert "<script>alert" not in page
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(page)
    assert tags.count("script") == 1
    assert tags.count("article") == 1


def test_days_come_in_order_and_events_without_a_time_last() -> None:
    events = [
        event("A#1", NOON),
        event("A#2", NOON.replace(hour=23)),
        event("B#1", NOON.replace(day=2)),
        event("C#1", None),
    ]
    found = list(days(events))
    assert [(day.title, len(day.events)) for day in found] == [
        ("Friday, 1 May 2026", 2),
        ("Saturday, 2 May 2026", 1),
        ("Without a time", 1),
    ]


def test_an_event_says_what_when_and_how_many() -> None:
    one = event("A#1", NOON)
    one.end = NOON.replace(minute=5)
    page = render([one, BLANK], "cards", count=2)
    assert "2 × red fox <small>93%</small> <i>Vulpes vulpes</i>" in page
    assert "12:00:00 to 12:05:00 · Beech ridge" in page
    assert 'class="event blank"' in page
    assert "2 events" in page


def test_pictures_are_made_of_the_best_photo_only_where_something_is_seen(tmp_path: Path) -> None:
    photo = put(tmp_path, "a.jpg", jpeg())
    damaged = put(tmp_path, "b.jpg", b"no photo")
    events = [
        event("A#1", NOON, source=photo),
        event("A#2", NOON, source=damaged),
        event("A#3", NOON, source=photo, answers=BLANK.answers),
        event("A#4", NOON),
    ]
    write_timeline(events, "cards", tmp_path / "page.html", count=4, threads=2)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 1
    assert "1 with a picture" in page


def test_a_page_stays_small_enough_for_a_phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_page, "MOST_EVENTS", 3)
    monkeypatch.setattr(timeline_page, "MOST_PICTURES", 2)
    photo = put(tmp_path, "a.jpg", jpeg())
    events = [event(f"A#{number}", NOON.replace(minute=number), source=photo) for number in range(5)]
    shown, count = first_events(reversed(events))
    assert ([one.name for one in shown], count) == (["A#0", "A#1", "A#2"], 5)
    write_timeline(shown, "cards", tmp_path / "page.html", count=count)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (page.count("<article "), page.count("<img ")) == (3, 2)
    assert "5 events; the first 3 are here, the table of events has all; 2 with a picture" in page


def test_clocks() -> None:
    assert clock("2026-05-01T12:00:03.500") == "12:00:03"
    assert clock("") == ""
