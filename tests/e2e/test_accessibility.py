"""Every page of ours, with axe-core: the server's, and those that evaluations, data and sweeps leave in a folder.

``/docs`` is left out: Swagger UI is not ours. Its methods and links lack contrast and its headings skip levels,
whatever page is around it. What it shows is at ``/openapi.json`` and in docs/serve.md as well.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("sklearn")
pytest.importorskip("jinja2")

import httpx
from PIL import Image

from animal_classification.data.quality.inspection import InspectionRules, inspect
from animal_classification.data.scanner import scan
from animal_classification.data.sources import SourceOptions, read_source
from animal_classification.report.dataset_page import write_page
from animal_classification.report.writer import PAGE, write_report
from tests.e2e.accessibility import SCREENS, violations
from tests.e2e.serving import Server, command, wait_for
from tests.support.reported import measured
from tests.support.tiny_bundle import COLOURS, solid, write_tiny_bundle
from tests.unit.data.drawing import draw, draw_classes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CONFUSION = b'{"labels":["cat","dog","lion"],"matrix":[[9,1,0],[0,10,0],[0,10,0]]}'


def encoded(colour: tuple[int, int, int]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(solid(colour, size=64)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A file of keys, and the one in it that opens every page."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    words = command("create", "zoo", "--scope", "admin", "--file", str(keys), name="keys")
    return keys, subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, key: tuple[Path, str]) -> Iterator[Server]:
    """Two models, one of which says little about itself; photos of the last minute, kept; keys."""
    folder = tmp_path_factory.mktemp("server")
    files = {"confusion.json": CONFUSION}
    tiny = write_tiny_bundle(folder / "tiny", background=("chair",), files=files)
    plain = write_tiny_bundle(folder / "plain", name="plain", size=64)
    options = ("--model", str(tiny), "--model", str(plain), "--engine", "onnxruntime", "--prediction-log")
    more = ("--keep-photos", "thumbnail", "--keys-file", str(key[0]))
    server = Server(*options, *more, folder=folder, name="serve")
    photos = [("files", (f"{number}.jpg", encoded(colour))) for number, colour in enumerate(COLOURS[:4])]
    headers = {"X-API-Key": key[1]}
    assert httpx.post(f"{server.address}/v1/predict", files=photos, headers=headers).status_code == 200
    wait_for(lambda: len(list((server.log / "photos").glob("??/*"))) == 4 or None, "the photos", lambda: server.output)
    yield server
    server.kill()


@contextmanager
def screen_of(chromium: Browser, screen: tuple[int, str]) -> Iterator[Page]:
    width, scheme = screen
    context = chromium.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",  # of what is still fading in, axe would see the contrast of the moment
    )
    yield context.new_page()
    context.close()


def classify_pages(page: Page, tmp_path: Path) -> Iterator[str]:
    page.locator(".intake").wait_for()
    yield "Classify"
    page.get_by_role("button", name="A cat").click()
    page.locator(".answer .name").wait_for()
    yield "Classify, one answer"
    photos = []
    for number, colour in enumerate((*COLOURS[:4], None)):
        photos.append(tmp_path / f"{number}.jpg")
        photos[-1].write_bytes(encoded(colour) if colour else b"no photo")
    page.get_by_label("Choose photos").set_input_files(photos)
    page.get_by_role("heading", name="5 photos").wait_for()
    yield "Classify, many answers"


def review_pages(page: Page) -> Iterator[str]:
    page.get_by_role("img", name="The photo").first.wait_for()
    yield "Review"
    page.get_by_role("button", name="Reviewed").click()
    page.locator("[aria-pressed=true]", has_text="Reviewed").wait_for()
    yield "Review, what was reviewed"


def other_pages(page: Page, address: str) -> Iterator[str]:
    page.goto(f"{address}/model")
    page.get_by_role("heading", name="plain", level=1).wait_for()
    yield "Model"
    page.goto(f"{address}/monitor")
    page.get_by_role("img", name="Animals over time").wait_for()
    for summary in page.get_by_text("As a table").all():
        summary.click()
    yield "Monitor"


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_the_pages_of_the_server(
    chromium: Browser, server: Server, key: tuple[Path, str], tmp_path: Path, screen: tuple[int, str]
) -> None:
    found: list[str] = []

    def check(page: Page, names: Iterator[str]) -> None:
        for name in names:
            found.extend(f"{name}: {line}" for line in violations(page))

    with screen_of(chromium, screen) as page:
        page.goto(f"{server.address}/review")
        page.get_by_label("API key").fill("lions")
        page.keyboard.press("Enter")
        page.get_by_text("That key is not known here").wait_for()
        check(page, iter(["signing in"]))
        page.get_by_label("API key").fill(key[1])
        page.keyboard.press("Enter")
        check(page, review_pages(page))
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(f"{page.url}: {message.text}"))
        page.goto(f"{server.address}/")
        check(page, classify_pages(page, tmp_path))
        check(page, other_pages(page, server.address))
    assert not found, "\n".join(found)
    assert complaints == []


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A page of each command that writes one, with something in every part of it."""
    folder = tmp_path_factory.mktemp("reports")
    write_report(measured(folder), folder / "evaluation")
    return [folder / "evaluation" / PAGE, data_report(folder / "data"), sweep_report(folder / "sweep")]


def data_report(folder: Path) -> Path:
    """Of photos with copies, one that cannot be read, and a class that is too small."""
    photos = folder / "photos"
    draw_classes(photos / "train", {"cat": 4, "dog": 4, "Dog ": 1})
    draw_classes(photos / "test", {"owl": 4})
    shutil.copyfile(photos / "train/cat/0.png", photos / "train/dog/copy.png")
    draw(photos / "test/owl/tiny.png", 501, (12, 12))
    (photos / "test/owl/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    manifest = read_source(photos, SourceOptions(cache=folder / "cache"))
    facts = scan([manifest.file(row) for row in manifest], cache=folder / "cache")
    write_page(inspect(manifest, facts, rules=InspectionRules(min_class=2)), "photos", folder / "report.html")
    return folder / "report.html"


def sweep_report(folder: Path) -> Path:
    """Of twelve trainings that only pretend."""
    pytest.importorskip("plotly")
    from animal_classification.config.compose import tree
    from animal_classification.sweep import study_report
    from animal_classification.sweep.runner import plan, run_sweep
    from tests.unit.sweep.test_sweep import WORDS, Training

    words = (*WORDS, f"output={folder}", "sweep.pruner=none", "sweep.trials=12")
    page = study_report.write(run_sweep(plan(tree(words, sweeping=True).config), Training()))
    assert page is not None
    return page


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_the_pages_that_commands_leave(chromium: Browser, reports: list[Path], screen: tuple[int, str]) -> None:
    found = []
    with screen_of(chromium, screen) as page:
        for study_report in reports:
            page.goto(study_report.as_uri())
            found += [f"{study_report.name}: {line}" for line in violations(page)]
            if page.evaluate("document.documentElement.scrollWidth") > screen[0]:
                found.append(f"{study_report.name}: scrolls sideways")
    assert not found, "\n".join(found)
