"""A small evaluation with everything in it that a report shows, and names that would do harm if they were believed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from animal_classification.bundle import load
from animal_classification.report.report_inputs import Measurement, ReportInputs, measure
from tests.support.tiny_bundle import write_tiny_bundle

HARM = "<script>alert(1)</script>"
RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
SETS = {"alpha": 0.1, "quantile": 0.9, "method": "raps", "penalty": 0.1, "free": 2, "n": 100}
NAMES = ("cat", f"dog{HARM}", "lion")


def draw(path: Path, colour: tuple[int, int, int], number: int) -> None:
    """A photo of about one colour, of its own size, unlike any other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((64 + number, 66, 3), colour, np.uint8)
    if colour != GREY:
        pixels[: 6 + number, : 7 + 2 * number] = (number * 9 % 256, 40, 200)
    Image.fromarray(pixels).save(path)


def draw_photos(folder: Path) -> Path:
    """Twelve cats, of which two are green (dogs, says the model), ten dogs, five grey things, one that is no photo."""
    for number in range(12):
        draw(folder / f"cat/<b>{number}&amp;.png", GREEN if number < 2 else RED, number)
    for number in range(10):
        draw(folder / f"{_folder(NAMES[1])}/{number}.png", GREEN, number)
    for number in range(5):
        draw(folder / f"thing/{number}.png", GREY, number)
    (folder / "cat/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 30)
    return folder


def write_model(folder: Path) -> Path:
    """Whose second class has a harmful name, and an id that can be a folder's name."""
    labels = [{"id": _folder(name), "name": name} for name in NAMES]
    config = {"recipe": {"name": "probe"}, "seed": 3, "note": HARM}
    return write_tiny_bundle(folder, names=NAMES, labels=labels, conformal=SETS, config=config)


def measured(folder: Path) -> Measurement:
    """The whole, measured once."""
    inputs = ReportInputs(
        created=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        model=str(write_model(folder / "model")),
        source=str(draw_photos(folder / "photos")),
        compare=str(write_tiny_bundle(folder / "other", conformal=SETS, names=("cat", "lion", "dog-id"))),
    )
    return measure(inputs, load, lambda *_: None, folder / "cache")


def _folder(name: str) -> str:
    return name.replace(HARM, "-id").replace("/", "")
