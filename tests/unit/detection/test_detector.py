from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animal_classification.data.detections import Detection
from animal_classification.detection.detector import Detector
from animal_classification.detection.schema import KINDS
from animal_classification.errors import BundleInvalidError
from animal_classification.imaging.decoding import opened
from tests.support.colour_detector import CATEGORIES, SCORES, write_colour_detector

# Where the rectangles are, in fractions of the picture: left, top, width, height.
RED, GREEN = (0.1, 0.2, 0.25, 0.3), (0.55, 0.6, 0.35, 0.2)
PICTURES = [(1000, 617), (617, 1000), (640, 640), (233, 1411)]
ALLOWED = 0.002


def draw(width: int, height: int) -> Image.Image:
    pixels = np.full((height, width, 3), 230, np.uint8)
    for (x, y, w, h), colour in ((RED, (255, 0, 0)), (GREEN, (0, 255, 0))):
        left, top = round(x * width), round(y * height)
        pixels[top : top + round(h * height), left : left + round(w * width)] = colour
    return Image.fromarray(pixels)


def exact(box: tuple[float, float, float, float], width: int, height: int) -> tuple[float, ...]:
    """The box as it was drawn, in whole pixels."""
    x, y, w, h = box
    return round(x * width) / width, round(y * height) / height, round(w * width) / width, round(h * height) / height


def corners(found: Detection) -> tuple[float, ...]:
    return found.x, found.y, found.width, found.height


@pytest.fixture(scope="session")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Detector]:
    place = tmp_path_factory.mktemp("detectors")
    return {kind: Detector(write_colour_detector(place / kind, kind)) for kind in KINDS}


@pytest.mark.parametrize("size", PICTURES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_boxes_of_every_kind_are_where_the_animals_are(
    detectors: dict[str, Detector], kind: str, size: tuple[int, int]
) -> None:
    with opened(draw(*size)) as photo:
        found = detectors[kind].find(photo)
    assert [one.category for one in found] == ["animal", "person"]  # the red twin is gone
    assert [one.confidence for one in found] == pytest.approx(SCORES, abs=1e-5)
    # Half a pixel of the input, or of a picture that is enlarged, which the colour of an edge does not tell.
    for one, box in zip(found, (RED, GREEN), strict=True):
        allowed = max(ALLOWED, 1.02 / min_input(size, kind), 0.51 / min(size))
        assert corners(one) == pytest.approx(exact(box, *size), abs=allowed)


def min_input(size: tuple[int, int], kind: str) -> float:
    """How many pixels of the input the shorter side has."""
    return 640 * min(size) / max(size) if kind not in ("rtdetr", "rtdetrv2", "rfdetr") else 640


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_of_the_upright_picture(detectors: dict[str, Detector], tmp_path: Path, orientation: int) -> None:
    upright = draw(1000, 617)
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    with opened(tmp_path / "turned.png") as photo:
        found = detectors["animals"].find(photo)
    assert [one.category for one in found] == ["animal", "person"]
    assert corners(found[0]) == pytest.approx(exact(RED, 1000, 617), abs=ALLOWED)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found_in_an_empty_picture_of_every_kind(detectors: dict[str, Detector], kind: str) -> None:
    with opened(np.full((300, 400, 3), 230, np.uint8)) as photo:
        assert detectors[kind].find(photo) == ()


def test_a_jpeg_at_a_reduced_scale_gives_the_same_boxes(detectors: dict[str, Detector], tmp_path: Path) -> None:
    draw(4000, 3000).save(tmp_path / "large.jpg", quality=95, subsampling=0)
    detector = detectors["yolov5"]
    with opened(tmp_path / "large.jpg", min_side=detector.least_side) as photo:
        assert photo.pixels.size == (1000, 750)  # an eighth would be too small
        found = detector.find(photo)
    for one, box in zip(found, (RED, GREEN), strict=True):
        assert corners(one) == pytest.approx(exact(box, 4000, 3000), abs=ALLOWED)


def test_a_changed_graph_is_refused(tmp_path: Path) -> None:
    bundle = write_colour_detector(tmp_path / "d")
    graph = bundle.path / "detector.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(BundleInvalidError, match=r"detector.onnx: its sha256 is .* and detector.json says"):
        Detector.load(str(bundle.path))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("kind", "ultralytics", r"images is uint8 \[\?, 640, 640, 3\] and must be float32 \[any, 3, 640, 640\]"),
        ("categories", ["animal"], r"scores is float32 \[\?, 3, 3\] and must be float32 \[any, any, 1\]"),
        ("kind", "yolov12", "kind: Input should be"),
        ("surprise", 1, "surprise: Extra inputs"),
    ],
)
def test_what_the_document_says_is_checked_against_the_graph(
    tmp_path: Path, key: str, value: object, said: str
) -> None:
    bundle = write_colour_detector(tmp_path / "d")
    document = bundle.path / "detector.json"
    document.write_text(json.dumps({**json.loads(document.read_text()), key: value}))
    with pytest.raises(BundleInvalidError, match=said):
        Detector.load(str(bundle.path))


def test_the_built_in_detector_says_what_it_cannot_find() -> None:
    info = Detector.load("lite").info
    assert info.categories == ("animal",)
    assert info.license == "MIT"
    assert "no people" in info.training
    assert CATEGORIES == ("animal", "person", "vehicle")


@pytest.mark.photos
@pytest.mark.parametrize(
    ("name", "boxes"),
    [
        ("southwest/2021-07-24_SYFR0655_coyote.JPG", [(0.886, 0.152, 0.437, 0.244, 0.227)]),
        ("small/equid.webp", [(0.639, 0.343, 0.34, 0.6, 0.44)]),
    ],
)
def test_the_built_in_detector_finds_what_it_found_when_it_was_measured(
    photos_dir: Path, name: str, boxes: list[tuple[float, ...]]
) -> None:
    detector = Detector.load("lite", threads=1)
    with opened(photos_dir / "field" / "photos" / name, min_side=detector.least_side) as photo:
        found = [one for one in detector.find(photo) if one.confidence >= detector.info.threshold.typical]
    assert [(one.confidence, *corners(one)) for one in found] == [pytest.approx(box, abs=0.01) for box in boxes]
