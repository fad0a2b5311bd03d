"""Pictures of a report for the docs, taken in headless Chromium, and the report as a PDF.

animals evaluate runs/…/bundle photos --unknown things --report report
.venv-dev/bin/python tools/report_pictures.py report/report.html docs/images
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

# Name, width of the screen, the heading of the part that is shown (the top of the page without one), height, scale.
SHOTS = (
    ("report-verdict", 1100, None, 790, 0.7),
    ("report-confusion", 1100, "What is confused with what", 1290, 0.6),
    ("report-mistakes", 1100, "Most confident mistakes", 660, 0.7),
    ("report-phone", 390, None, 1330, 0.7),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="the page")
    parser.add_argument("output", type=Path, help="folder for the pictures")
    parser.add_argument("--pdf", type=Path, help="write the printed page here as well")
    asked = parser.parse_args()
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        for name, width, heading, height, scale in SHOTS:
            picture = shoot(browser, asked.report, width, heading, height)
            small = picture.resize(
                (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS
            )
            target = asked.output / f"{name}.jpg"
            small.convert("RGB").save(target, quality=82, optimize=True)
            print(f"{target}: {target.stat().st_size // 1024} KiB")
        if asked.pdf:
            page = open_page(browser, asked.report, 794)
            page.pdf(path=str(asked.pdf), prefer_css_page_size=True, print_background=True)
        browser.close()


def open_page(browser: Browser, report: Path, width: int) -> Any:
    page = browser.new_page(viewport={"width": width, "height": 900}, device_scale_factor=2)
    page.goto(report.absolute().as_uri())
    return page


def shoot(browser: Browser, report: Path, width: int, heading: str | None, height: int) -> Image.Image:
    page = open_page(browser, report, width)
    top = 0.0
    if heading is not None:
        box = page.locator("section").filter(has=page.get_by_role("heading", name=heading, exact=True)).bounding_box()
        top = box["y"] - 8
    clip = {"x": 0, "y": top, "width": width, "height": height}
    data = page.screenshot(clip=clip, full_page=True)
    page.close()
    picture = Image.open(io.BytesIO(data))
    picture.thumbnail((width, height * 2))
    return picture


if __name__ == "__main__":
    main()
