"""The page without a browser: what a visit is answered with, and what it cannot get at."""

from __future__ import annotations

import asyncio
import base64
import csv
import html
import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

gr = pytest.importorskip("gradio")

from animal_classification.errors import EngineError
from animal_classification.inference import Classifier
from animal_classification.inference.table import columns
from animal_classification.serving.page import answers
from animal_classification.serving.page.blocks import EXPIRED, head, make_page
from animal_classification.serving.page.examples import ALL, available, chosen
from animal_classification.serving.page.hosting import remove_empty_folders
from animal_classification.serving.service import Service
from animal_classification.settings import Settings
from tests.unit.serving.conftest import BLUE, RED, YELLOW, FakePredictor, encoded

Ask = Callable[..., str]


@pytest.fixture
def service(classifier: Classifier) -> Iterator[Service]:
    service = Service()
    service.install(classifier)
    yield service
    service.close()


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def ask(service: Service, uploads: Path) -> Ask:
    """Sends what a browser would send."""

    async def visit(payload: Any, settings: Settings) -> str:
        (event,) = make_page(service, settings, uploads).fns.values()
        assert event.fn is not None
        answer: str = await event.fn(gr.EventData(None, payload))
        return answer

    def ask(payload: Any, **settings: Any) -> str:
        return asyncio.run(visit(payload, Settings(**settings)))

    return ask


def upload(folder: Path, name: str, data: bytes) -> dict[str, str]:
    path = folder / f"{len(list(folder.iterdir()))}-{name}"
    path.write_bytes(data)
    return {"name": name, "path": str(path)}


def heading(page: str) -> str:
    found = re.search(r'<h2 class="name"[^>]*>(.*?)</h2>', page)
    assert found, page[:500]
    return html.unescape(found[1])


def table(page: str) -> list[dict[str, str]]:
    found = re.search(r'download="animals.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', page)
    assert found
    return list(csv.DictReader(io.StringIO(base64.b64decode(found[1]).decode("utf-8"))))


def test_one_photo(ask: Ask, uploads: Path) -> None:
    page = ask({"photos": [upload(uploads, "red.jpg", encoded(RED, size=300))]})
    assert heading(page) == "Cat"
    assert "feline › small cat" in page
    assert len(re.findall(r"<li\b", page)) == 3
    assert re.search(r'class="heat" src="data:image/jpeg;base64,', page)
    assert "Heatmap over the photo" in page
    assert 'alt="The photo: red.jpg"' in page


def test_no_animal_has_no_bars_of_animals(ask: Ask, uploads: Path) -> None:
    page = ask({"photos": [upload(uploads, "chair.jpg", encoded(YELLOW))]})
    assert heading(page) == "Not an animal"
    assert "It looks more like: chair." in page
    assert "data-heat" not in page
    assert "no animal that I know" in page


def test_an_unreadable_photo_is_explained(ask: Ask, uploads: Path) -> None:
    page = ask({"photos": [upload(uploads, "notes.jpg", b"only text")]})
    assert heading(page) == "I cannot read this photo"
    assert "notes.jpg is text" in page


def test_many_photos_with_their_table(ask: Ask, uploads: Path) -> None:
    photos = [
        upload(uploads, "red.jpg", encoded(RED)),
        upload(uploads, "notes.jpg", b"only text"),
        upload(uploads, "chair.jpg", encoded(YELLOW)),
        {"name": "huge.jpg", "problem": "large"},
        upload(uploads, "blue.jpg", encoded(BLUE)),
    ]
    page = ask({"photos": photos})
    assert heading(page) == "5 photos"
    assert "2 animals, 1 without an animal, 2 unreadable" in page
    rows = table(page)
    assert list(rows[0]) == columns(5)
    assert [row["path"] for row in rows] == ["red.jpg", "notes.jpg", "chair.jpg", "huge.jpg", "blue.jpg"]
    assert [row["label"] for row in rows] == ["cat", "", rows[2]["label"], "", "lion"]
    assert [bool(row["error"]) for row in rows] == [False, True, False, True, False]
    assert rows[2]["unknown"] == "true"
    assert page.count('class="card ') == 5


def test_more_photos_than_fit_are_told(ask: Ask, uploads: Path) -> None:
    photos = [upload(uploads, f"{index}.jpg", encoded(RED)) for index in range(4)]
    page = ask({"photos": photos, "left_out": 2}, max_files=3)
    assert heading(page) == "3 photos"
    assert "2 more photos did not fit" in page


def test_names_cannot_become_markup(ask: Ask, uploads: Path) -> None:
    nasty = "<img src=x onerror=alert(1)> ${alert(2)} {{x}} \"'.jpg"
    data = encoded(RED)
    for photos in ([data], [data, data], [b"text"]):
        page = ask({"photos": [upload(uploads, "x", photo) | {"name": nasty} for photo in photos]})
        assert "<img src=x" not in page
        assert "&lt;img src=x" in page


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.jpg", "", "uploads", "\0", "no/such/file.jpg"])
def test_only_uploads_are_read(ask: Ask, uploads: Path, name: str) -> None:
    (uploads.parent / "secret.jpg").write_bytes(encoded(RED))
    path = name if name.startswith(("/", "\0")) or not name else str(uploads / name)
    page = ask({"photos": [{"name": "a.jpg", "path": path}]})
    assert heading(page) == "I cannot read this photo"
    assert EXPIRED in page


def test_a_link_out_of_the_uploads_is_not_followed(ask: Ask, uploads: Path) -> None:
    secret = uploads.parent / "secret.jpg"
    secret.write_bytes(encoded(RED))
    (uploads / "link.jpg").symlink_to(secret)
    assert EXPIRED in ask({"photos": [{"name": "a.jpg", "path": str(uploads / "link.jpg")}]})


def test_an_upload_above_the_bound_is_not_read(ask: Ask, uploads: Path) -> None:
    assert EXPIRED in ask({"photos": [upload(uploads, "a.jpg", encoded(RED))]}, max_file_bytes=10)


@pytest.mark.parametrize(
    "payload", [None, {"photos": "x"}, {"photos": [{"name": 1}]}, {"other": 1}, [], {"left_out": -1}]
)
def test_nonsense_is_answered_politely(ask: Ask, payload: Any) -> None:
    assert heading(ask(payload)) == "I did not understand that"


def test_a_failure_of_ours_is_not_blamed_on_the_photo(
    ask: Ask, service: Service, classifier: Classifier, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: bytes) -> None:
        raise EngineError("secret")

    service.install(FakePredictor(classifier, fail))
    page = ask({"example": "lion"})
    assert heading(page) == "Something went wrong here"
    assert "secret" not in page
    assert "secret" in caplog.text


def test_nothing_sent(ask: Ask) -> None:
    assert heading(ask({})) == "There was no photo"


def test_examples(ask: Ask, gradio_folder: Path) -> None:
    examples = available(gradio_folder)
    assert {example.key for example in examples} >= {"lion", "tower"}
    assert "lion.jpg" in ask({"example": "lion"})
    assert heading(ask({"example": ALL})) == f"{len(examples)} photos"
    assert heading(ask({"example": "../../etc/passwd"})) == "There was no photo"
    assert chosen("lion", examples)[0].title == "A lion"


def test_without_example_photos_the_page_does_without(tmp_path: Path) -> None:
    assert available(tmp_path) == ()
    page = answers.fill("intake.html", max_files=1, max_bytes=1, examples=[], kept="Kept.")
    assert "Or try one of these" not in page


def test_nothing_on_the_page_comes_from_elsewhere() -> None:
    assert not re.search(r"https?://|url\([\"']?//", head())


def intake_of(service: Service, uploads: Path) -> str:
    async def build() -> Any:
        return make_page(service, Settings(), uploads)

    page = asyncio.run(build())
    intake: str = next(block.value for block in page.blocks.values() if getattr(block, "elem_id", "") == "intake")
    return intake


def test_the_page_names_no_version_of_the_model_which_may_change_while_it_is_open(
    service: Service, uploads: Path
) -> None:
    intake = intake_of(service, uploads)
    assert '<a href="model">' in intake
    assert f"{service.predictor.info.name} {service.predictor.info.version}" not in intake


def test_every_form_element_has_a_name(service: Service, uploads: Path) -> None:
    intake = intake_of(service, uploads)
    for button in re.findall(r"<button\b.*?</button>", intake, re.DOTALL):
        assert re.sub(r"<[^>]+>", "", button).strip(), button
    for image in re.findall(r"<img\b[^>]*>", intake):
        assert "alt=" in image
    assert "<label" in intake
    assert 'role="status"' in intake


def test_empty_folders_of_old_uploads_are_removed(tmp_path: Path) -> None:
    for name in ("old", "new", "used"):
        (tmp_path / name).mkdir()
    (tmp_path / "used" / "photo").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    for name in ("old", "used", "file"):
        os.utime(tmp_path / name, (0, 0))
    remove_empty_folders(tmp_path, 300)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "used", "file"}
