"""The page of events: what it shows, what it refuses, and that nothing in it runs."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from PIL import Image

from animal_classification.errors import UsageError
from animal_classification.predict.events_page import EventsPage

if TYPE_CHECKING:
    from animal_classification.predict.assembly import Assembly

EVIL = '<script>alert("1")</script>'


def event(number: int, answer: str = "fox", path: str = "north/a.jpg", **more: Any) -> dict[str, Any]:
    row = {
        "event": f"north#{number}",
        "deployment": "north",
        "start": f"2021-05-{number:02d}T10:00:00",
        "end": f"2021-05-{number:02d}T10:00:30",
        "files": 2,
        "files_with": 1,
        "category": "animal",
        "answer": answer,
        "probability": 0.8,
        "scientific_name": "Vulpes",
        "count": 2,
        "best_path": path,
    }
    return {**row, **more}


class Made:
    """An assembly with these events; the fox of each best picture is in its lower right quarter."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self._events = events

    def events(self) -> list[dict[str, Any]]:
        return list(self._events)

    def files(self) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        box = {"category": "animal", "answer": "fox", "confidence": 0.9, "x": 0.5, "y": 0.5}
        box |= {"width": 0.5, "height": 0.5}
        return [({"path": path}, [box]) for path in {row["best_path"] for row in self._events}]

    def deployment_rows(self) -> list[dict[str, Any]]:
        row = {"deployment": "north", "start": "2021-05-01T10:00:00", "end": "2021-05-09T10:00:30", "files": 4}
        return [{**row, "dateless": 1}]


def write(page: EventsPage, *events: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    page.check()
    notes = page.write(cast("Assembly", Made(*events)))
    return page.target.read_text(encoding="utf-8"), notes


def pictures(html: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return [Image.open(BytesIO(base64.b64decode(data))) for data in found]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "north").mkdir(parents=True)
    picture = Image.new("RGB", (400, 400), (60, 90, 60))
    picture.paste((220, 20, 20), (200, 200, 400, 400))
    picture.save(folder / "north/a.jpg", quality=95)
    return folder


def test_each_event_has_its_picture_its_box_and_its_animal_enlarged(tmp_path: Path, photos: Path) -> None:
    html, notes = write(EventsPage(tmp_path / "events.html", photos), event(1), event(3))

    whole, enlarged = pictures(html)[:2]
    assert len(pictures(html)) == 4
    assert not notes
    assert max(enlarged.size) == 220
    red = np.asarray(enlarged.convert("RGB")).astype(int)
    assert ((red[..., 0] - red[..., 1]) > 100).mean() > 0.6, "the fox fills the square around it"
    edge = np.asarray(whole.convert("RGB")).astype(int)[whole.height // 2 + 40, whole.width // 2]
    assert edge[0] > 180 < edge[1] + 40, "a yellow line stands where the box begins"
    assert "2 events in 4 files of 1 deployment" in html
    assert "2021-05-01 10:00:00 to 2021-05-01 10:00:30" in html
    assert "at most 2 at once" in html


def test_marks_stand_in_time_and_lead_to_their_cards(tmp_path: Path) -> None:
    html, _ = write(EventsPage(tmp_path / "events.html"), event(1), event(3), event(5), event(9, start="", end=""))

    places = [float(place) for place in re.findall(r"left:([\d.]+)%", html)]
    assert places == pytest.approx([0, 50, 100])
    for anchor in re.findall(r'href="#([^"]+)"', html):
        assert f'id="{anchor}"' in html
    assert "without a time" in html


def test_names_are_text_and_nothing_runs(tmp_path: Path) -> None:
    rows = (event(1, answer=EVIL, path=EVIL, scientific_name=EVIL, deployment=EVIL),)
    html, notes = write(EventsPage(tmp_path / "events.html"), *rows)

    assert "<script" not in html
    assert "default-src 'none'" in html
    assert any("--photos" in note for note in notes)


def test_a_photo_that_is_gone_leaves_its_event(tmp_path: Path, photos: Path) -> None:
    html, notes = write(EventsPage(tmp_path / "events.html", photos), event(1, path="north/gone.jpg"))

    assert "north/gone.jpg" in html
    assert notes == ("1 of 1 events are shown without a picture",)


def test_somebody_elses_page_is_not_replaced_and_ours_is(tmp_path: Path) -> None:
    target = tmp_path / "events.html"
    target.write_text("<p>mine</p>", encoding="utf-8")

    with pytest.raises(UsageError, match="is there, and no page of events"):
        EventsPage(target).check()
    write(EventsPage(target, overwrite=True), event(1))
    html, _ = write(EventsPage(target), event(1), event(2))

    assert "2 events" in html


def test_photos_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        EventsPage(tmp_path / "events.html", tmp_path / "gone").check()
