"""A verdict as one HTML file that needs no other: what changed, by how much, and photos from before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.hashes import hash_file
from animal_classification.common.text_files import write_text
from animal_classification.data.discovery import PhotoPaths
from animal_classification.errors import AnimalsError
from animal_classification.imaging.statistics import NAMES
from animal_classification.monitoring.drift.example_photos import examples_of
from animal_classification.monitoring.drift.terminal_text import ASKED, title
from animal_classification.report.numbers import percent
from animal_classification.report.page import template
from animal_classification.report.pictures import NO_PICTURE, thumbnail
from animal_classification.report.svg import Svg

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.monitoring.drift.judge import DriftJudge
    from animal_classification.monitoring.drift.photo_windows import PhotoWindow
    from animal_classification.monitoring.drift.reference import DriftReference
    from animal_classification.monitoring.drift.sample import DriftWindow
    from animal_classification.monitoring.drift.verdict import Verdict

SHOWN = 8
_SIDE = 176
_MOST_SEARCHED = 20_000
_HEX_DIGITS = 16

ADVICE = {
    "none": "Nothing. Judge again when there are new photos.",
    "image": "Look at the camera first: lens, focus, exposure, white balance, flash, mounting. If the light is as it "
    "should be (night, winter), correct some of these photos by hand and train with them.",
    "content": "Look at the photos below. New animals: label some and add a class. Empty photos or things: use a "
    "detector in front of the model. They count as wrong answers until then.",
    "look": "Compare view, distance and background with those of before: a camera was moved, or animals are younger, "
    "wet or in another coat. Correct some of these photos by hand and train with them.",
    "mix": "Season, feeding place or another site? The model itself may be as good as before; the share of each animal "
    "that it tells is what changes. Audit some answers for the animals that became frequent.",
}


@dataclass(frozen=True)
class ExamplePhoto:
    """A picture with a line below it."""

    picture: str
    caption: str


def write_page(target: Path, bundle: Bundle, judge: DriftJudge, verdicts: Sequence[Verdict], read: PhotoWindow) -> None:
    """Write the page about the newest window.

    Args:
        target: The page's name.
        bundle: The model: says where the photos of its training are.
        judge: Has judged.
        verdicts: On all windows, the newest last.
        read: The photos.

    Raises:
        OutputError: The system refuses.
        MissingExtraError: Jinja2 is not installed.
    """
    verdict = verdicts[-1]
    window = judge.prepared(read.window, verdict.used)
    chosen = examples_of(verdict, window, judge.reference, SHOWN)
    files = dict(zip(read.window.ids, read.files, strict=True))
    after = [
        _example(files[window.ids[i]], f"{window.ids[i]}: {_answer(judge, window, i)}") for i in chosen.after.tolist()
    ]
    photos = _Examples(_before(bundle, judge, chosen.before), after)
    write_text(template("drift.html.j2", _context(judge, verdicts, window, photos)), target)


@dataclass(frozen=True)
class _Examples:
    before: list[ExamplePhoto]
    after: list[ExamplePhoto]


def _context(judge: DriftJudge, verdicts: Sequence[Verdict], window: DriftWindow, photos: _Examples) -> dict[str, Any]:
    verdict = verdicts[-1]
    tests = verdict.tests
    effects = {
        "look": f"MMD {tests.look_effect:+.4f}",
        "image": f"{tests.image_largest} {tests.image_shift:+.1f} sd",
        "content": f"{percent(tests.content_share, 0)} strangers, {percent(tests.content_reference, 0)} before",
        "mix": f"{percent(tests.mix_effect, 0)} of the shares moved",
    }
    return {
        "verdict": verdict,
        "title": title(verdict),
        "advice": ADVICE[verdict.kind],
        "accuracy": verdict.accuracy,
        "percent": percent,
        "tests": [
            {
                "name": name,
                "asked": asked,
                "p": f"{tests.p[name]:.2g}",
                "fired": name in verdict.fired,
                "effect": effects[name],
            }
            for name, asked in ASKED.items()
        ],
        "numbers": _numbers(judge.reference, window),
        "mix": tests.mix_changes,
        "windows": [
            {"number": place + 1, "used": one.used, "kind": one.kind, "confirmed": one.confirmed, "says": one.says}
            for place, one in enumerate(verdicts)
        ],
        "before": photos.before,
        "after": photos.after,
    }


def _numbers(reference: DriftReference, window: DriftWindow) -> list[dict[str, Any]]:
    """The twelve numbers, before and after."""
    then, now = _means(reference.sample.stats), _means(window.sample.stats)
    shifts = (now - then) / reference.deviations
    return [
        {
            "name": name,
            "before": f"{then[i]:.3g}",
            "after": f"{now[i]:.3g}",
            "shift": f"{shifts[i]:+.1f}",
            "bar": _bar(float(shifts[i]), f"{name} {shifts[i]:+.1f} deviations"),
        }
        for i, name in enumerate(NAMES)
    ]


def _means(stats: NDArray[np.float32]) -> NDArray[np.float64]:
    there = stats[np.isfinite(stats).all(axis=1)]
    means: NDArray[np.float64] = there.mean(axis=0, dtype=np.float64) if len(there) else np.zeros(len(NAMES))
    return means


def _bar(shift: float, says: str) -> Svg:
    """A bar from the middle, three deviations to each side."""
    drawing = Svg(100, 12, says, stretched=True, kind="line-plot")
    drawing.add("rect", x=0, y=1, width=100, height=10, kind="empty")
    length = min(50.0, abs(shift) / 3 * 50)
    drawing.add("rect", x=50 - length if shift < 0 else 50, y=1, width=length, height=10, kind="filled")
    drawing.add("rect", x=49.75, y=0, width=0.5, height=12, kind="whole")
    return drawing


def _answer(judge: DriftJudge, window: DriftWindow, place: int) -> str:
    number = int(window.sample.pred[place])
    name = judge.labels[number] if 0 <= number < len(judge.labels) else "?"
    return f"{name} {percent(float(window.sample.probability[place]), 0)}"


def _example(file: Path, caption: str) -> ExamplePhoto:
    return ExamplePhoto(thumbnail(file, _SIDE) or NO_PICTURE, caption)


def _before(bundle: Bundle, judge: DriftJudge, wanted: NDArray[np.int64]) -> list[ExamplePhoto]:
    """Photos of the reference, where those of the training are still at hand."""
    sought = {int(judge.reference.sha[i]) for i in wanted.tolist() if judge.reference.sha[i]}
    data = bundle.info.config.get("data")
    place = data.get("path") if isinstance(data, dict) else None
    if not sought or not isinstance(place, str) or not Path(place).is_dir():
        return []
    found: list[ExamplePhoto] = []
    try:
        for number, photo in enumerate(PhotoPaths([place]).walk()):
            if number >= _MOST_SEARCHED or len(found) == len(sought):
                break
            if int(hash_file(Path(photo.path))[:_HEX_DIGITS], 16) in sought:
                found.append(_example(Path(photo.path), photo.name))
    except (AnimalsError, OSError):  # they were at hand a moment ago; the page is worth having without them
        return found
    return found
