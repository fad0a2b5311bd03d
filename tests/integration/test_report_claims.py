"""What no report can say: no tag, field, comment or picture stands for a number, and nothing is claimed unknown."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn")
pytest.importorskip("jinja2")

from animal_classification.bundle import load
from animal_classification.cli.main import main
from animal_classification.data import read_source
from animal_classification.evaluation import evaluate
from animal_classification.evaluation.evaluator import EvaluateOptions
from animal_classification.inference.reference import read_arrays
from animal_classification.report import summary
from animal_classification.report.check import Claims
from animal_classification.report.report_inputs import Measurement
from animal_classification.report.writer import CARD, PAGE
from animal_classification.training.recipes import RECIPES
from tests.support.reported import BLUE, GREEN, RED, draw
from tests.support.tiny_bundle import COLOURS, write_tiny_bundle

ACCURACY = r"(?<=<div><b>)90\.9%(?=</b>right label<)"
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><text y='20'>99.9% right</text></svg>"


def jpeg_of(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def photo(value: int, size: tuple[int, int]) -> str:
    stream = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(stream, "JPEG")
    return jpeg_of(stream.getvalue())


def in_number(inside: str) -> Callable[[str], str]:
    return lambda page: re.sub(ACCURACY, inside, page, count=1)


def in_picture(address: str) -> Callable[[str], str]:
    return lambda page: re.sub(r'src="data:image/jpeg[^"]*"', f'src="{address}"', page, count=1)


@pytest.mark.parametrize(
    "change",
    [
        in_number("99.9%"),
        in_number("<b hidden>90.9%</b>99.9%"),
        in_number('<b hidden>90.9%</b><input value="99.9%">'),
        in_number('90.9%<input value="99.9%">'),
        in_number("<i>90.9%</i>"),
        in_number("90.9%<br>"),
        in_number("90.9%<!-- 99.9% -->"),
        lambda page: page.replace("</main>", '<input value="99.9%"></main>'),
        lambda page: page.replace("</main>", "<!--><b>99.9%</b>--></main>"),
        lambda page: page.replace("</main>", "<!-- hidden --></main>"),
        lambda page: page.replace("</main>", "<?php 99.9% ?></main>"),
        in_picture(f"data:image/svg+xml;base64,{base64.b64encode(SVG.encode()).decode()}"),
        in_picture(jpeg_of(SVG.encode())),
        in_picture("data:image/png;base64,iVBORw0KGgo="),
        in_picture("data:image/jpeg;base64,%%%"),
    ],
)  # fmt: skip
def test_nothing_may_stand_for_a_number(change: Callable[[str], str], written: Path, measurement: Measurement) -> None:
    text = (written / PAGE).read_text()
    changed = change(text)
    assert changed != text
    claims = replace(Claims.read(written / PAGE, load), text=changed)
    assert claims.differences(measurement)


def test_a_picture_of_something_else_is_found(written: Path, measurement: Measurement) -> None:
    text = (written / PAGE).read_text()
    claims = Claims.read(written / PAGE, load)
    assert claims.picture_differences(measurement) == []
    first = re.search(r'src="(data:image/jpeg[^"]*)"', text)
    assert first is not None
    with Image.open(io.BytesIO(base64.b64decode(first[1].partition(",")[2]))) as picture:
        other = photo(255, picture.size)
    found = replace(claims, text=in_picture(other)(text)).picture_differences(measurement)
    assert len(found) == 1
    assert "shows something else than the photo that was measured" in found[0]


def test_sections_that_somebody_added_are_named(
    measurement: Measurement, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (written / CARD).read_text().replace("## Limits", "## Result\n\nRight in 99.9%.\n\n## Limits")
    (tmp_path / CARD).write_text(text)
    words = ["report", "check", str(tmp_path / CARD), "-q"]
    assert main(words) == 0
    assert "animals: not checked: model-card.md: the section '## Result'" in capsys.readouterr().err


def test_of_a_model_that_remembers_nothing_nothing_is_claimed(measurement: Measurement) -> None:
    """A folder test/ alone proves nothing: the model's training may have used it."""
    assert not measurement.result.data.seen_known
    assert "kept apart" not in summary.headline(measurement.result)


def test_photos_of_the_training_are_known_again_saved_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """88 training photos saved again as JPEG were "kept apart from its training"."""
    monkeypatch.setitem(RECIPES, "probe", "tests.support.colour_recipe")
    for place, (name, colour) in enumerate((("a", RED), ("b", GREEN), ("c", BLUE))):
        for number in range(12):
            draw(tmp_path / f"colours/{name}/{number}.png", colour, 12 * place + number)
    words = ["data.test=0.4", "data.val=0.2", "tracking=none", f"output={tmp_path}/runs", "-q"]
    assert main(["train", f"data.path={tmp_path}/colours", *words]) == 0
    bundle = load(next((tmp_path / "runs").glob("*/bundle")))
    arrays = read_arrays(bundle)
    assert arrays
    assert arrays["fingerprint"].shape[1] == 32
    apart = evaluate(bundle, read_source(tmp_path / "colours"), "colours", EvaluateOptions(cache=tmp_path / "cache"))
    assert apart.data.seen_known
    assert apart.data.seen == 0
    assert "kept apart from its training" in summary.headline(apart)
    assert "that were kept apart from its training" in bundle.card()

    tested = {one.path for one in apart.photos}
    learned = [row.path for row in read_source(tmp_path / "colours") if row.path not in tested]
    again = tmp_path / "again/test"
    for path in learned:
        target = (again / path).with_suffix(".jpg")
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(tmp_path / "colours" / path) as picture:
            picture.convert("RGB").resize((90, 90)).save(target, quality=80)
    for name, colour in (("a", RED), ("b", GREEN)):
        draw(again / f"{name}/new.png", colour, 77)
        draw(tmp_path / f"again/train/{name}/x.png", colour, 99)
    result = evaluate(bundle, read_source(tmp_path / "again"), "again", EvaluateOptions(cache=tmp_path / "cache"))
    assert result.data.scored == len(learned) + 2
    assert result.data.seen >= 0.8 * len(learned)
    said = summary.headline(result)
    assert "kept apart" not in said
    assert "on photos that it knows" in said
    assert any("or copies of them" in note for note in result.notes)


def test_percentages_are_checked_as_people_see_them(tmp_path: Path) -> None:
    """Background classes take their share: of "cat 40%, chair 60%" the 40% are what a person reads."""
    model = write_tiny_bundle(tmp_path / "tiny", background=("chair",))
    between = tuple(int(value) for value in (np.array(COLOURS[0], float) + COLOURS[3]) / 2 + (0, -3, 0))
    generator = np.random.default_rng(0)
    for name, colour in (("cat", between), ("dog", GREEN)):
        for number in range(30):
            target = tmp_path / f"photos/{name}/{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.clip(np.array(colour) + generator.integers(-2, 3, 3), 0, 255)
            Image.fromarray(np.full((40 + number, 40, 3), pixels, np.uint8)).save(target)
    result = evaluate(
        load(model), read_source(tmp_path / "photos"), "photos", EvaluateOptions(cache=tmp_path / "cache")
    )
    rows = [row for row in result.photos if row.correct is not None]
    assert any(0.2 < (row.probability or 0) < 0.8 for row in rows)
    confidence = np.array([row.probability for row in rows])
    right = np.array([bool(row.correct) for row in rows])
    bars = result.calibration.after.bins
    assert sum(bar.n * bar.confidence for bar in bars) / len(rows) == pytest.approx(confidence.mean(), abs=1e-5)
    assert result.calibration.after.ece >= abs(confidence.mean() - right.mean()) - 1e-6 > 0.1


def test_what_is_called_unknown_is_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the cats are nearly grey: the best label is cat, and people read "unknown"."""
    model = write_tiny_bundle(tmp_path / "tiny", unknown={"method": "max_probability", "threshold": 0.99})
    for number in range(10):
        draw(tmp_path / f"photos/cat/{number}.png", RED, number)
        draw(tmp_path / f"photos/dog/{number}.png", (100, 134, 100) if number < 5 else GREEN, number)
    result = evaluate(
        load(model), read_source(tmp_path / "photos"), "photos", EvaluateOptions(cache=tmp_path / "cache")
    )
    rows = [row for row in result.photos if row.answered_right is not None]
    assert result.overall.accuracy.value == 1.0
    refused = sum(bool(row.unknown) for row in rows)
    assert refused >= 5
    assert result.overall.answered_right.value == pytest.approx(1 - refused / 20)
    assert result.overall.answered_right.low < result.overall.answered_right.value
    assert result.summary()["answered_right"] == result.overall.answered_right.value
    assert f"{100 * (1 - refused / 20):.1f}% of 20 photos" in summary.headline(result)
    assert main(["evaluate", str(model), str(tmp_path / "photos"), "-q"]) == 0
    assert re.search(rf"told right +{100 * (1 - refused / 20):.1f}%", capsys.readouterr().out)
