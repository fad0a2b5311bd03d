"""The review by event: what the log keeps for it, the order, and where an event begins."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from animal_classification.serving.http.event_review import beginnings
from animal_classification.serving.http.feedback_schemas import Page
from tests.unit.serving.conftest import RED, YELLOW, assert_problem, send
from tests.unit.serving.test_feedback_routes import logged, say  # noqa: F401
from tests.unit.serving.test_predict import OneAnimal

MakeClient = Callable[..., TestClient]
DAY = "2021:04:11 "


def dated(time: str, shade: int = 0) -> bytes:
    """A photo that says when it was taken; no two shades have the same bytes."""
    exif = Image.Exif()
    if time:
        exif.get_ifd(0x8769)[0x9003] = DAY + time
    buffer = BytesIO()
    Image.new("RGB", (64, 64), (RED[0] - shade, *RED[1:])).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def events(client: TestClient, **query: Any) -> dict[str, Any]:
    page: dict[str, Any] = client.get("/v1/review/events", params=query).json()
    return page


@pytest.fixture
def three_visits(logged: TestClient) -> TestClient:  # noqa: F811
    """Two cameras; the first has two events. Sent in no order, one photo has no time."""
    for name, time, source in (
        ("b2.jpg", "20:40:00", "b"),
        ("a3.jpg", "23:00:00", "a"),
        ("a1.jpg", "20:00:00", "a"),
        ("none.jpg", "", "a"),
        ("a2.jpg", "20:29:59", "a"),
        ("b1.jpg", "20:10:00", "b"),
    ):
        files = [("files", (name, dated(time, shade=len(name) * 7 + ord(name[0]) + ord(name[1]) % 16)))]
        assert logged.post("/v1/predict", files=files, data={"source": source}).status_code == 200
    return logged


def test_camera_by_camera_as_taken(three_visits: TestClient) -> None:
    page = events(three_visits)
    Page.model_validate(page)
    shown = [(entry["file"], entry["begins"]) for entry in page["predictions"]]
    assert shown == [("a1.jpg", True), ("a2.jpg", False), ("a3.jpg", True), ("b1.jpg", True), ("b2.jpg", False)]
    assert [entry["taken"] for entry in page["predictions"][:2]] == ["2021-04-11T20:00:00", "2021-04-11T20:29:59"]
    assert page["predictions"][0]["source"] == "a"
    assert page["total"] == 6, "the one without a time is to be reviewed as well, one by one"
    assert page["next"] is None


def test_pages_go_on_where_the_last_one_ended_and_an_event_may_go_over_both(three_visits: TestClient) -> None:
    found: list[tuple[str, bool]] = []
    after = None
    for _ in range(6):
        page = events(three_visits, limit=1, **({"after": after} if after else {}))
        found += [(entry["file"], entry["begins"]) for entry in page["predictions"]]
        after = page["next"]
        if after is None:
            break
    whole = [(entry["file"], entry["begins"]) for entry in events(three_visits)["predictions"]]
    assert found == whole
    assert events(three_visits, after="00000000-0000-4000-8000-000000000000")["predictions"] == []


def test_what_somebody_said_something_of_is_not_asked_again(three_visits: TestClient) -> None:
    first, *_ = events(three_visits)["predictions"]
    assert say(three_visits, first["id"]).status_code == 201
    page = events(three_visits)
    assert [entry["file"] for entry in page["predictions"]] == ["a2.jpg", "a3.jpg", "b1.jpg", "b2.jpg"]
    assert page["predictions"][0]["begins"]
    assert page["total"] == 5


def test_boxes_are_kept_where_they_were_asked_for(logged: TestClient) -> None:  # noqa: F811
    logged.app.state.service.detector = OneAnimal()  # type: ignore[attr-defined]
    try:
        (entry,) = send(logged, ("found.jpg", dated("20:00:00")), detections="true").json()["predictions"]
        send(logged, ("plain.jpg", dated("20:01:00", 9)))
    finally:
        logged.app.state.service.detector = None  # type: ignore[attr-defined]
    found, plain = events(logged)["predictions"]
    assert found["detections"] == entry["detections"]
    assert [box["category"] for box in found["detections"]] == ["animal", "person"]
    assert plain["detections"] is None
    by_doubt = {one["file"]: one for one in logged.get("/v1/review").json()["predictions"]}
    assert by_doubt["found.jpg"]["detections"] == entry["detections"]


def test_a_time_that_cannot_be_is_none(logged: TestClient) -> None:  # noqa: F811
    buffer = BytesIO()
    Image.new("RGB", (64, 64), YELLOW).save(buffer, "PNG")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
    zeros = BytesIO()
    Image.new("RGB", (64, 64), RED).save(zeros, "JPEG", exif=exif)
    send(logged, ("a.png", buffer.getvalue()), ("zeros.jpg", zeros.getvalue()))
    page = events(logged)
    assert (page["predictions"], page["total"]) == ([], 2)


def test_without_a_log_it_says_so(client: TestClient, tmp_path: Path) -> None:
    assert_problem(client.get("/v1/review/events"), 404, "no-prediction-log")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 48 * 60)), max_size=12), st.integers(0, 12))
def test_a_page_break_changes_nothing(photos: list[tuple[str, int]], cut: int) -> None:
    rows = [
        {"source": source, "taken": f"2021-04-{11 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00"}
        for source, minute in sorted(photos)
    ]
    first, second = rows[:cut], rows[cut:]
    parts = beginnings(first, None) + beginnings(second, first[-1] if first else None)
    assert parts == beginnings(rows, None)
