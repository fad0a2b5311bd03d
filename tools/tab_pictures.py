"""Pictures of every page for the docs: starts a server, sends it photos, reviews some, and looks at it with Chromium.

python tools/tab_pictures.py PHOTOS --output docs/images [--model BUNDLE] [--narrow FOLDER] [--show PHOTO …]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

TABS = ("review", "model", "monitor")
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def server(model: str, folder: Path) -> Iterator[str]:
    words = [sys.executable, "-m", "animal_classification.cli", "up", "--port", "0", "--model", model]
    environment = os.environ | {"ANIMALS_LOG_FOLDER": str(folder / "log")}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            found = re.match(r"animals: ready at (\S+) ", process.stdout.readline())
            assert found, "the server does not start"
            yield found[1]
        finally:
            process.terminate()


def ask(address: str, method: str, data: bytes | None = None, kind: str = "application/json") -> object:
    request = urllib.request.Request(address, data, {"Content-Type": kind}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def use(address: str, photos: list[Path], folder: Path) -> None:
    """A day at a zoo: photos come, most of them by day, and somebody looks at a few."""
    for photo in photos:
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{photo.name}"\r\n\r\n'
        body = head.encode() + photo.read_bytes() + b"\r\n--x--\r\n"
        ask(f"{address}/v1/predict", "POST", body, "multipart/form-data; boundary=x")
    page = ask(f"{address}/v1/review?limit=100", "GET")
    assert isinstance(page, dict)
    for item in page["predictions"][-30:]:
        word = {"id": item["id"], "verdict": "none" if item["unknown"] else "confirmed"}
        ask(f"{address}/v1/feedback", "POST", json.dumps(word).encode())
    _spread_over_a_day(folder / "log" / "predictions.db")


def _spread_over_a_day(database: Path) -> None:
    import sqlite3

    draw = random.Random(5)
    with sqlite3.connect(database, timeout=30) as connection:
        for (identity,) in connection.execute("SELECT id FROM animals_predictions").fetchall():
            hours = min(23.5, max(0.2, draw.gauss(9, 4)))
            moment = datetime.now(UTC) - timedelta(hours=hours)
            words = (moment.strftime("%Y-%m-%d %H:%M:%S.%f"), identity)
            connection.execute("UPDATE animals_predictions SET time = ? WHERE id = ?", words)
    connection.close()


def shoot(browser: Browser, address: str, tab: str, size: dict[str, int], path: Path) -> None:
    page = browser.new_page(viewport=size)  # type: ignore[arg-type]
    page.goto(f"{address}/{tab if tab in TABS else ''}")
    ready = {
        "classify": ".intake",
        "review": "#photo:not([hidden])",
        "model": "#models .panel",
        "monitor": "#charts .panel, #empty:not([hidden])",
    }
    page.locator(ready[tab]).first.wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > size["width"]:
        print(f"{tab} at {size['width']}: scrolls sideways, {wide} px", file=sys.stderr)
    page.screenshot(path=path, full_page=tab != "model" or size == NARROW)
    page.close()
    shrink(path)


def classify(browser: Browser, address: str, photos: list[Path], output: Path) -> None:
    """One photo with its heatmap half laid over it, wide and on a phone; all of them at once."""
    for name, sent, size in (("answer", photos[:1], WIDE), ("many", photos, WIDE), ("phone", photos[:1], NARROW)):
        page = browser.new_page(viewport=size)  # type: ignore[arg-type]
        page.goto(f"{address}/")
        page.get_by_label("Choose photos").set_input_files(sent)
        page.locator(".answer .name").wait_for(timeout=60_000)
        if name == "answer":
            page.get_by_role("slider").fill("60")
            page.locator(".answer .name").focus()
        page.wait_for_timeout(500)
        page.screenshot(path=output / f"up-{name}.png", full_page=name == "many")
        page.close()
        shrink(output / f"up-{name}.png")


def shrink(path: Path) -> None:
    with Image.open(path) as picture:
        small = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=200)
    small.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="photos")
    parser.add_argument("--count", type=int, default=80)
    parser.add_argument("--narrow", type=Path, help="a folder for the same at 390 pixels, and of the classifier")
    parser.add_argument("--show", type=Path, nargs="+", default=[], help="photos for the pictures of the classifier")
    options = parser.parse_args()
    photos = sorted(
        path for path in options.photos.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}
    )
    random.Random(3).shuffle(photos)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory(prefix="animals-tabs-") as temporary:
        folder = Path(temporary)
        with server(options.model, folder) as address, sync_playwright() as playwright:
            use(address, photos[: options.count], folder)
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            if options.show:
                classify(browser, address, options.show, options.output)
            if options.narrow:
                for name, size in (("wide", WIDE), ("narrow", NARROW)):
                    shoot(browser, address, "classify", size, options.narrow / f"classify-{name}.png")
            for tab in TABS:
                shoot(browser, address, tab, WIDE, options.output / f"tab-{tab}.png")
                if options.narrow:
                    shoot(browser, address, tab, NARROW, options.narrow / f"tab-{tab}-narrow.png")
            browser.close()


if __name__ == "__main__":
    main()
