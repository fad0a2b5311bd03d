"""Boxes on the page sit where the animals are, however the camera was held, on a phone and on a desk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.e2e.conftest import Site, signed_in
from tests.e2e.serving import Server
from tests.e2e.test_page import choose, name_on

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ORIENTATION = 0x0112
ANIMAL = "southwest/2021-07-24_SYFR0655_coyote.JPG"
SCREENS = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
WHERE = """() => {
    const photo = document.querySelector('.photo .whole').getBoundingClientRect();
    return [...document.querySelectorAll('.frame .box')].map((box) => {
        const place = box.getBoundingClientRect();
        return [(place.left - photo.left) / photo.width, (place.top - photo.top) / photo.height,
                place.width / photo.width, place.height / photo.height];
    });
}"""


@pytest.fixture(scope="module")
def detecting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    pytest.importorskip("uvicorn", reason="the page needs the extra app")
    server = Server("--detector", "lite", folder=tmp_path_factory.mktemp("detecting"))
    yield Site(server.address)
    server.kill()


@pytest.fixture(scope="module")
def turned(photos_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A trail photo stored in all eight ways; every viewer shows the same picture, upright."""
    folder = tmp_path_factory.mktemp("turned")
    with Image.open(photos_dir / "field/photos" / ANIMAL) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB").resize((800, 600))
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    files = {}
    for orientation, way in undo.items():
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        files[orientation] = folder / f"{orientation}.jpg"
        (upright if way is None else upright.transpose(way)).save(files[orientation], quality=95, exif=exif)
    return files


@pytest.fixture(scope="module")
def known_place(photos_dir: Path) -> list[float]:
    """Where MegaDetector found the animal."""
    images = json.loads((photos_dir / "field/recognition/md_format_1.6.json").read_text("utf-8"))["images"]
    (found,) = [image["detections"] for image in images if image["file"].endswith(ANIMAL)]
    box: list[float] = found[0]["bbox"]
    return box


def overlap(one: list[float], other: list[float]) -> float:
    """Intersection over union of two boxes: left, top, width, height."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def page_at(chromium: Browser, site: Site, screen: str) -> Page:
    context = chromium.new_context(viewport=SCREENS[screen])  # type: ignore[arg-type]
    return signed_in(context, site)


@pytest.mark.parametrize("screen", SCREENS)
def test_boxes_sit_on_the_animal_in_every_orientation(
    chromium: Browser, detecting: Site, turned: dict[int, Path], known_place: list[float], screen: str
) -> None:
    page = page_at(chromium, detecting, screen)
    for orientation, file in turned.items():
        choose(page, file)
        page.get_by_alt_text(f"The photo: {file.name}").wait_for()  # not the one before
        page.locator(".frame .box").first.wait_for()
        best = max(page.evaluate(WHERE), key=lambda box: overlap(box, known_place))
        assert overlap(best, known_place) > 0.5, (orientation, best, known_place)
        assert page.locator(".found li").count() == page.locator(".frame .box").count()
    page.context.close()


def test_the_animal_is_shown_enlarged(
    chromium: Browser, detecting: Site, turned: dict[int, Path], known_place: list[float]
) -> None:
    page = page_at(chromium, detecting, "desk")
    choose(page, turned[6])
    page.locator(".found canvas").first.wait_for()
    shown = page.locator(".found canvas").first.screenshot()
    with Image.open(turned[1]) as opened:
        x, y, width, height = known_place
        middle = ((x + width / 2) * opened.width, (y + height / 2) * opened.height)
        side = 1.2 * max(width * opened.width, height * opened.height)
        square = opened.crop(
            (
                round(middle[0] - side / 2),
                round(middle[1] - side / 2),
                round(middle[0] + side / 2),
                round(middle[1] + side / 2),
            )
        )
        expected = np.asarray(square.convert("L").resize((32, 32)), dtype=float)
    found = np.asarray(Image.open(BytesIO(shown)).convert("L").resize((32, 32)), dtype=float)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.6
    page.context.close()


def test_a_server_without_a_detector_says_so_and_draws_nothing(page: Page, gradio_photos: Path) -> None:
    choose(page, gradio_photos / "lion.jpg")
    assert name_on(page) == "Lion"
    assert page.locator(".frame .box").count() == 0


TAKEN = {1: "20:43:09", 6: "20:43:20", 3: "20:45:00", 8: "23:10:00"}  # by orientation: two events
IN_FRAMES = """(images) => images.map((image) => {
    const photo = image.getBoundingClientRect();
    return [...image.parentElement.querySelectorAll('.box')].map((box) => {
        const place = box.getBoundingClientRect();
        return [(place.left - photo.left) / photo.width, (place.top - photo.top) / photo.height,
                place.width / photo.width, place.height / photo.height];
    });
})"""


@pytest.fixture(scope="module")
def visited(detecting: Site, turned: dict[int, Path]) -> Site:
    """The coyote came twice, and somebody sent the photos with a request for boxes; one more has no time."""
    files = []
    for orientation, time in TAKEN.items():
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        exif.get_ifd(0x8769)[0x9003] = f"2021:07:24 {time}"
        buffer = BytesIO()
        with Image.open(turned[orientation]) as opened:
            opened.save(buffer, "JPEG", quality=95, exif=exif)
        files.append(("files", (f"coyote-{orientation}.jpg", buffer.getvalue())))
    asked = {"detections": "true", "source": "Beech ridge"}
    answer = httpx.post(f"{detecting.address}/v1/predict", files=files, data=asked, timeout=60)
    assert answer.status_code == 200
    return detecting


@pytest.mark.parametrize("screen", SCREENS)
def test_an_event_is_reviewed_at_once_with_its_boxes(
    chromium: Browser, visited: Site, known_place: list[float], screen: str
) -> None:
    page = page_at(chromium, visited, screen)
    page.goto(f"{visited.address}/review")
    page.get_by_role("button", name="By event").click()
    page.locator(".event").nth(1).locator("canvas").first.wait_for()
    first, second = page.locator(".event").all()
    assert first.get_by_role("heading").inner_text().startswith("Beech ridge · ")
    assert (first.locator(".shots > li").count(), second.locator(".shots > li").count()) == (3, 1)
    for boxes in first.locator(".frame img").evaluate_all(IN_FRAMES):
        best = max(boxes, key=lambda box: overlap(box, known_place))
        assert overlap(best, known_place) > 0.5
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
    before = int(page.locator("#count-open").inner_text())
    first.get_by_label("Another animal, in all photos").fill("coyote")
    first.get_by_role("button", name="It is that").click()
    page.locator(f"#count-open:text-is('{before - 3}')").wait_for()
    assert page.locator("#said").inner_text() == "Corrected: coyote (3 photos)."
    assert page.locator(".event").count() == 1
    page.get_by_role("button", name="Undo").click()
    page.locator(f"#count-open:text-is('{before}')").wait_for()
    assert page.locator(".event").count() == 2, "all three are back, as one event"

    page.get_by_role("button", name="coyote-6.jpg alone").click()
    page.locator("#animals canvas").first.wait_for()
    (boxes,) = page.locator("#frame img").evaluate_all(IN_FRAMES)
    assert max(overlap(box, known_place) for box in boxes) > 0.5
    page.get_by_role("button", name="By event").click()
    assert page.locator(".event").count() == 2
    page.context.close()
