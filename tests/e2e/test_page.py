"""The page as a visitor meets it, in a real browser over the real model."""

from __future__ import annotations

import base64
import csv
import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from animal_classification.imaging import PreprocessSpec, preprocess
from animal_classification.inference.table import columns
from tests.e2e.serving import Server

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.sync_api import Browser, Page

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
DROP = """([selector, files]) => {
    const transfer = new DataTransfer();
    for (const [name, data] of files) {
        const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
    }
    const target = document.querySelector(selector);
    for (const type of ["dragenter", "dragover", "drop"]) {
        target.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));
    }
}"""


def drop(page: Page, *files: Path) -> None:
    page.evaluate(DROP, [".drop", [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]])


def choose(page: Page, *files: Path) -> None:
    page.get_by_label("Choose photos").set_input_files(files)


def name_on(page: Page) -> str:
    name = page.locator(".answer .name")
    name.wait_for()
    return name.inner_text()


def picture_in(page: Page, selector: str) -> NDArray[np.uint8]:
    url = page.locator(selector).get_attribute("src")
    assert url is not None
    return np.asarray(Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_a_dropped_photo_is_named_and_explained(page: Page, gradio_photos: Path) -> None:
    drop(page, gradio_photos / "lion.jpg")
    assert name_on(page) == "Lion"
    assert page.locator(".taxon").inner_text() == "Panthera leo"
    assert re.search(r"I am sure: >?99%", page.locator(".sentence").inner_text())
    bars = page.locator(".bars li")
    assert bars.count() == 5
    assert bars.first.locator(".bar-name").inner_text() == "lion"
    assert re.fullmatch(r">?\d+%", bars.first.locator(".bar-value").inner_text())
    widths = [bar.evaluate("bar => bar.getBoundingClientRect().width") for bar in page.locator(".bar > span").all()]
    assert widths[0] > 10 * widths[1] > 0

    heat = picture_in(page, ".heat-inset")
    photo = preprocess(gradio_photos / "lion.jpg", PreprocessSpec())
    assert heat.shape == photo.shape
    assert np.abs(heat.astype(int) - photo).mean() > 3, "the heatmap is the photo itself"
    assert page.locator(".heat-inset").evaluate("image => image.naturalWidth") == 224


def test_the_slider_blends_the_heatmap_and_starts_anew(page: Page) -> None:
    page.get_by_role("button", name="A lion").click()
    slider = page.get_by_role("slider", name="Blend the heatmap over the photo")
    slider.wait_for()
    opacity = "image => Number(getComputedStyle(image).opacity)"
    assert page.locator(".heat").evaluate(opacity) == 0
    slider.focus()
    page.keyboard.press("End")
    assert page.locator(".heat").evaluate(opacity) == 1
    page.get_by_role("button", name="A portrait").click()
    page.get_by_text("Acinonyx jubatus").wait_for()
    page.wait_for_function("document.querySelector('[data-heat]').value === '0'")
    assert page.locator(".heat").evaluate(opacity) == 0


def test_what_is_no_animal_gets_no_animal_name(page: Page, gradio_photos: Path) -> None:
    choose(page, gradio_photos / "tower.jpg")
    assert name_on(page) == "Not an animal"
    assert "It looks more like:" in page.locator(".sentence").inner_text()
    assert page.locator(".bars li").count() == 2
    assert page.locator("[data-heat]").count() == 0


def test_many_photos_and_their_table(page: Page, gradio_photos: Path, tmp_path: Path) -> None:
    notes = tmp_path / 'my, "notes" & löwe.jpg'
    notes.write_text("no photo at all")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes((gradio_photos / "lion.jpg").read_bytes()[:4000])
    choose(page, gradio_photos / "lion.jpg", notes, gradio_photos / "tower.jpg", cut, gradio_photos / "cheetah.jpg")
    assert name_on(page) == "5 photos"
    assert page.locator(".many .sentence").inner_text() == "2 animals, 1 without an animal, 2 unreadable"
    assert page.locator(".card h3").all_inner_texts()[1] == "Cannot be read"
    assert "It is text, not a photo." in page.locator(".card").nth(1).inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the table (CSV)").click()
    assert download.value.suggested_filename == "animals.csv"
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == columns(5)
    assert [row["path"] for row in rows] == ["lion.jpg", notes.name, "tower.jpg", "cut.jpg", "cheetah.jpg"]
    assert [row["label"] for row in rows][::4] == ["lion", "cheetah"]
    assert rows[2]["unknown"] == "true"
    assert rows[1]["error"]
    assert rows[3]["error"]


def test_a_broken_photo_is_explained_without_alarm(page: Page, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.write_bytes(b"")
    choose(page, empty)
    assert name_on(page) == "I cannot read this photo"
    assert "empty.jpg" in page.locator(".answer").inner_text()
    assert page.locator(".toast-wrap .toast-body").count() == 0


def test_the_camera(page: Page) -> None:
    page.get_by_role("button", name="Use the camera").click()
    shoot = page.get_by_role("button", name="Take the photo")
    shoot.wait_for()
    page.wait_for_function("document.querySelector('video').videoWidth > 0")
    shoot.click()
    assert name_on(page)
    assert page.locator(".answer img.whole").get_attribute("alt") == "The photo: camera.jpg"
    assert page.locator(".camera").is_hidden()
    assert page.evaluate("document.querySelector('video').srcObject === null"), "the camera stays on"


def test_by_keyboard_alone(page: Page) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.example") == "lion":
            break
    else:
        pytest.fail("Tab does not lead to the examples")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus cannot be seen"
    page.keyboard.press("Enter")
    assert name_on(page) == "Lion"
    page.wait_for_function("document.activeElement.id === 'answer-name'")


def test_what_a_screen_reader_is_told(page: Page) -> None:
    for name in ("Choose photos", "Use the camera", "A lion", "All at once"):
        found = page.get_by_role("button", name=name).or_(page.get_by_label(name))
        assert found.count() >= 1, name
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1").count() == 1
    page.get_by_role("button", name="A lion").click()
    page.get_by_role("article", name="Lion").get_by_role("img", name="The photo: lion.jpg").wait_for()
    page.get_by_role("list", name="The five most probable animals").wait_for()


@pytest.mark.parametrize("context_options", [PHONE])
def test_on_a_phone_nothing_scrolls_sideways(page: Page, gradio_photos: Path, context_options: Any) -> None:
    def assert_fits() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390

    assert_fits()
    choose(page, gradio_photos / "lion.jpg")
    assert name_on(page) == "Lion"
    assert_fits()
    name = page.locator(".answer .name").bounding_box()
    assert name
    assert name["y"] < 844, "the name is below the fold"
    page.get_by_role("button", name="All at once").click()
    page.get_by_role("heading", name="4 photos").wait_for()
    assert_fits()


def test_two_visitors_see_their_own_answers(page: Page, server: Server, chromium: Browser) -> None:
    context = chromium.new_context()
    other = context.new_page()
    other.goto(server.address)
    other.get_by_role("button", name="No animal at all").click()
    page.get_by_role("button", name="A lion").click()
    assert (name_on(page), name_on(other)) == ("Lion", "Not an animal")
    context.close()


def test_the_api_reference_works_offline(page: Page) -> None:
    page.get_by_role("link", name="For programs: the API").click()
    page.get_by_text("/v1/predict").first.wait_for()


@pytest.mark.parametrize(("file", "name"), [("n02129604_tiger.JPEG", "Tiger"), ("n02391049_zebra.JPEG", "Zebra")])
def test_real_photos(page: Page, photos_dir: Path, file: str, name: str) -> None:
    drop(page, photos_dir / "imagenet_animals" / file)
    assert name_on(page) == name
