"""The page as a visitor meets it, in a real browser over the real model."""

from __future__ import annotations

import base64
import codecs
import csv
import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from animal_classification.imaging import PreprocessSpec, preprocess
from animal_classification.predict.table import columns
from animal_classification.predict.writers.text import read_text, write_text
from animal_classification.serving.ui.pages import example_path
from tests.e2e.conftest import Site, signed_in
from tests.e2e.serving import Server, wait_for
from tests.support.tiny_bundle import write_tiny_bundle

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.sync_api import Browser, Page, Request, Route

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


OVERFLOWING = """() => [...document.querySelectorAll(".answer, .answer *")]
    .filter((element) => element.clientWidth && getComputedStyle(element).overflowX === "visible")
    .filter((element) => element.scrollWidth > element.clientWidth + 1)
    .map((element) => element.className || element.tagName)"""


def name_on(page: Page) -> str:
    name = page.locator(".answer .name")
    name.wait_for()
    return name.inner_text()


PIXELS = """async (image) => {
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/png");
}"""


def picture_in(page: Page, selector: str) -> NDArray[np.uint8]:
    url = page.locator(selector).evaluate(PIXELS)
    return np.asarray(Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


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
    page.get_by_role("button", name="A cat").click()
    slider = page.get_by_role("slider", name="Blend the heatmap over the photo")
    slider.wait_for()
    opacity = "image => Number(getComputedStyle(image).opacity)"
    assert page.locator(".heat").evaluate(opacity) == 0
    slider.focus()
    page.keyboard.press("End")
    assert page.locator(".heat").evaluate(opacity) == 1
    page.get_by_role("button", name="A raccoon").click()
    page.get_by_role("heading", name="An animal").wait_for()
    assert slider.input_value() == "0"
    assert page.locator(".heat").evaluate(opacity) == 0


def test_what_is_no_animal_gets_no_animal_name(page: Page, gradio_photos: Path) -> None:
    choose(page, gradio_photos / "tower.jpg")
    assert name_on(page) == "No animal found"
    sentence = page.locator(".sentence").inner_text()
    assert re.fullmatch(r"At least none that I know\.( The photo looks like an? [\w ]+\.)?", sentence), sentence
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
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
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
    assert page.get_by_role("alert").count() == 0


def test_the_camera(page: Page) -> None:
    page.get_by_role("button", name="Use the camera").click()
    shoot = page.get_by_role("button", name="Take the photo")
    shoot.wait_for()
    page.locator("video").evaluate("video => video.videoWidth || new Promise((done) => (video.onloadeddata = done))")
    shoot.click()
    assert name_on(page)
    assert page.locator(".answer img.whole").get_attribute("alt") == "The photo: camera.jpg"
    assert page.locator(".camera").is_hidden()
    assert page.evaluate("document.querySelector('video').srcObject === null"), "the camera stays on"


def test_by_keyboard_alone(page: Page) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.example") == "cat":
            break
    else:
        pytest.fail("Tab does not lead to the examples")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus cannot be seen"
    page.keyboard.press("Enter")
    assert name_on(page) == "Domestic cat"
    page.locator("#answer-name:focus").wait_for()


def test_what_a_screen_reader_is_told(page: Page) -> None:
    for name in ("Choose photos", "Use the camera", "A cat", "All at once"):
        found = page.get_by_role("button", name=name).or_(page.get_by_label(name))
        assert found.count() >= 1, name
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("heading", level=1).count() == 1
    page.get_by_role("button", name="A cat").click()
    page.get_by_role("article", name="Domestic cat").get_by_role("img", name="The photo: cat.jpg").wait_for()
    page.get_by_role("list", name="The five most probable animals").wait_for()


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone_nothing_scrolls_sideways(
    site: Site, chromium: Browser, gradio_photos: Path, tmp_path: Path, width: int
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 844}, is_mobile=True, has_touch=True, device_scale_factor=2
    )
    page = signed_in(context, site)

    def assert_fits() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERFLOWING) == []

    assert_fits()
    long = tmp_path / f"{'a_name_without_a_single_blank_' * 4}and then {'some words ' * 8}.jpg"
    long.write_bytes((gradio_photos / "lion.jpg").read_bytes())
    choose(page, long)
    assert name_on(page) == "Lion"
    assert_fits()
    name = page.locator(".answer .name").bounding_box()
    assert name
    assert name["y"] < 844, "the name is below the fold"
    page.get_by_role("button", name="All at once").click()
    page.get_by_role("heading", name="4 photos").wait_for()
    assert_fits()
    notes = long.with_stem(long.stem + "x")
    notes.write_text("no photo")
    choose(page, long, notes, gradio_photos / "tower.jpg")
    page.get_by_role("heading", name="3 photos").wait_for()
    assert_fits()
    choose(page, notes)
    page.get_by_role("heading", name="I cannot read this photo").wait_for()
    assert_fits()
    context.close()


def test_two_visitors_see_their_own_answers(page: Page, site: Site, chromium: Browser) -> None:
    context = chromium.new_context()
    other = signed_in(context, site)
    other.get_by_role("button", name="No animal at all").click()
    page.get_by_role("button", name="A cat").click()
    assert (name_on(page), name_on(other)) == ("Domestic cat", "No animal found")
    context.close()


def test_many_photos_go_in_several_requests_and_come_back_in_order(page: Page, tmp_path: Path) -> None:
    with Image.open(example_path("cat")) as cat, Image.open(example_path("coffee")) as coffee:
        for number in range(70):
            picture = (coffee if number % 7 == 0 else cat).resize((64 + number, 64))
            picture.save(tmp_path / f"{number:02}.jpg")
    sent: list[int] = []

    def count(request: Request) -> None:
        if request.url.endswith("/v1/predict"):
            sent.append(request.post_data_buffer.count(b"filename=") if request.post_data_buffer else 0)

    page.on("request", count)
    choose(page, *sorted(tmp_path.glob("*.jpg")))
    page.get_by_role("progressbar", name="Photos looked at").wait_for()
    page.get_by_role("heading", name="70 photos").wait_for(timeout=120_000)
    assert page.locator(".many .sentence").inner_text() == "60 animals, 10 without an animal"
    assert page.locator(".card .file").all_inner_texts() == [f"{number:02}.jpg" for number in range(70)]
    assert max(sent) <= 8
    assert sum(sent) == 70
    assert page.get_by_role("progressbar").count() == 0


def test_the_bounds_and_the_rate_of_a_server_are_kept(tmp_path: Path, chromium: Browser) -> None:
    tiny = write_tiny_bundle(tmp_path / "tiny")
    bounds = ("--max-files", "3", "--max-file-bytes", "100000", "--max-request-bytes", "100000", "--rate-limit", "30")
    server = Server("--model", str(tiny), "--engine", "onnxruntime", *bounds, folder=tmp_path / "server", name="serve")
    with Image.open(example_path("cat")) as cat:
        for number in range(32):
            cat.resize((100 + number, 100)).save(tmp_path / f"{number:02}.jpg")
    (tmp_path / "large.jpg").write_bytes(example_path("cat").read_bytes() + bytes(100_000))
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{server.address}/")
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status) if "predict" in response.url else None)
    choose(page, *sorted(tmp_path.glob("*.jpg")))
    page.get_by_role("heading", name="33 photos").wait_for(timeout=60_000)
    assert "1 unreadable" in page.locator(".many .sentence").inner_text()
    assert "It is larger than 97.7 kB; send a smaller one." in page.locator(".card").last.inner_text()
    assert 429 in statuses, "nobody had to wait"
    assert statuses.count(200) >= 11
    context.close()
    server.kill()


def test_the_table_is_that_of_predict(page: Page, tmp_path: Path) -> None:
    strange = tmp_path / '=1+1 "quoted", löwe.jpg'
    strange.write_bytes(example_path("raccoon").read_bytes())
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    choose(page, strange, broken, example_path("coffee"))
    page.get_by_role("heading", name="3 photos").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the table (CSV)").click()
    made = Path(download.value.path()).read_bytes()
    rows = list(read_text(Path(download.value.path()), "csv", 5))
    again = BytesIO()
    write_text(rows, again, "csv", 5)
    assert made == codecs.BOM_UTF8 + again.getvalue(), "as the writer of animals predict has it"
    assert [row["path"] for row in rows] == [strange.name, "broken.jpg", "coffee.jpg"]
    assert rows[0]["top"][0]["label"] == rows[0]["label"]


def test_answers_are_still_there_after_a_look_at_another_page(page: Page, site: Site, gradio_photos: Path) -> None:
    for photos, name in (([gradio_photos / "lion.jpg"], "Lion"), (sorted(gradio_photos.glob("c*.jpg")), None)):
        choose(page, *photos)
        heading = name or f"{len(photos)} photos"
        page.get_by_role("heading", name=heading, exact=True).wait_for()
        cards = page.locator(".card h3").all_inner_texts()
        wait_for(lambda: page.evaluate("sessionStorage.getItem('animals.answers')"), "the answers", lambda: "")
        page.get_by_role("link", name="For programs: the API").click()
        page.get_by_text("/v1/predict").first.wait_for()
        page.goto(f"{site.address}/")
        page.get_by_role("heading", name=heading, exact=True).wait_for()
        assert page.locator(".card h3").all_inner_texts() == cards
        assert page.locator(".answer img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_a_photo_that_the_browser_cannot_show_is_named(page: Page, gradio_photos: Path, tmp_path: Path) -> None:
    with Image.open(gradio_photos / "lion.jpg") as lion:
        lion.save(tmp_path / "lion.tif")
    choose(page, tmp_path / "lion.tif")
    assert name_on(page) == "Lion"
    page.get_by_text("This browser cannot show this kind of photo.").wait_for()
    assert page.get_by_role("img", name="What I saw of lion.tif").evaluate("image => image.naturalWidth") == 224


def test_a_server_that_is_busy_is_asked_again(site: Site, chromium: Browser, gradio_photos: Path) -> None:
    context = chromium.new_context()
    page = signed_in(context, site)
    refusals = [(503, "busy"), (429, "too-fast")]

    def refuse_twice(route: Route) -> None:
        if not refusals:
            route.continue_()
            return
        status, kind = refusals.pop()
        problem = {"type": f"urn:animals:problem:{kind}", "status": status, "detail": "later"}
        route.fulfill(status=status, headers={"Retry-After": "1"}, json=problem)

    page.route("**/v1/predict", refuse_twice)
    choose(page, gradio_photos / "lion.jpg")
    page.get_by_text("The server is busy: once more in 1 second").wait_for()
    assert name_on(page) == "Lion"
    assert refusals == []
    context.close()


def test_a_photo_that_breaks_its_request_fails_alone(site: Site, chromium: Browser, gradio_photos: Path) -> None:
    context = chromium.new_context()
    page = signed_in(context, site)

    def break_on_the_tower(route: Route, request: Request) -> None:
        if b'filename="tower.jpg"' in (request.post_data_buffer or b""):
            route.fulfill(status=500, json={"status": 500, "detail": "the server failed on this request"})
        else:
            route.continue_()

    page.route("**/v1/predict", break_on_the_tower)
    choose(page, *(gradio_photos / name for name in ("lion.jpg", "tower.jpg", "cheetah.jpg")))
    page.get_by_role("heading", name="3 photos").wait_for()
    assert [text.split()[0] for text in page.locator(".card h3").all_inner_texts()] == ["Lion", "Cannot", "Cheetah"]
    assert "It was refused: the server failed on this request." in page.locator(".card").nth(1).inner_text()
    context.close()


def test_a_server_that_is_gone_is_told_of(site: Site, chromium: Browser, gradio_photos: Path) -> None:
    context = chromium.new_context()
    page = signed_in(context, site)
    page.locator(".intake").wait_for()
    page.route("**/*", lambda route: route.abort())
    choose(page, gradio_photos / "lion.jpg", gradio_photos / "tower.jpg")
    assert name_on(page) == "No answer came"
    assert page.locator("[data-busy]").count() == 0
    context.close()


def test_stopping_keeps_what_is_answered(site: Site, chromium: Browser, tmp_path: Path) -> None:
    context = chromium.new_context()
    page = signed_in(context, site)
    for number in range(20):
        (tmp_path / f"{number:02}.jpg").write_bytes(example_path("cat").read_bytes())
    later: list[Route] = []

    def hold_the_last(route: Route, request: Request) -> None:
        if b'filename="19.jpg"' in (request.post_data_buffer or b""):
            later.append(route)
        else:
            route.continue_()

    page.route("**/v1/predict", hold_the_last)
    choose(page, *sorted(tmp_path.glob("*.jpg")))
    page.get_by_text("Looked at 16 of 20 photos").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("heading", name="16 photos").wait_for()
    page.get_by_text("4 photos more were not looked at.").wait_for()
    context.close()


def test_who_signs_in_while_photos_wait_gets_their_answers(site: Site, chromium: Browser, gradio_photos: Path) -> None:
    if site.key is None:
        pytest.skip("nobody signs in here")
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site.address}/")
    page.get_by_label("API key").fill(site.key)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Which animal is this?").wait_for()
    page.evaluate("sessionStorage.setItem('animals.key', 'revoked-since')")
    choose(page, gradio_photos / "lion.jpg")
    page.get_by_text("That key is not known here, or has expired.").wait_for()
    page.get_by_label("API key").fill(site.key)
    page.keyboard.press("Enter")
    assert name_on(page) == "Lion"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("API key").wait_for()
    assert page.evaluate("sessionStorage.length") == 0
    context.close()


def test_the_api_reference_works_offline(page: Page) -> None:
    page.get_by_role("link", name="For programs: the API").click()
    page.get_by_text("/v1/predict").first.wait_for()


@pytest.mark.parametrize(("file", "name"), [("n02129604_tiger.JPEG", "Tiger"), ("n02391049_zebra.JPEG", "Zebra")])
def test_real_photos(page: Page, photos_dir: Path, file: str, name: str) -> None:
    drop(page, photos_dir / "imagenet_animals" / file)
    assert name_on(page) == name
