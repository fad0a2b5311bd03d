from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from animal_classification.data.detections import Detection
from animal_classification.data.square_crop import MARGIN, square_crop
from animal_classification.detection.detector import Detector
from animal_classification.detection.scene import Scene
from animal_classification.detection.scene_classifier import SceneClassifier
from animal_classification.errors import ImageError, ImageMemoryError
from animal_classification.imaging import ImageSource
from animal_classification.imaging.decoding import opened
from animal_classification.imaging.photo import Photo
from animal_classification.inference import Classifier, Prediction
from animal_classification.inference.stream import Item
from tests.support.colour_detector import write_colour_detector
from tests.support.tiny_bundle import COLOURS, write_tiny_bundle

CAT, DOG, LION = COLOURS[:3]
GREY = (128, 128, 128)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return Classifier.load(write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny"), threads=2)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(write_colour_detector(tmp_path_factory.mktemp("detector") / "colours"))


Square = tuple[int, int, int, tuple[int, int, int]]


def picture(background: tuple[int, int, int], *squares: Square, size: tuple[int, int] = (800, 600)) -> Image.Image:
    """Squares: left, top, side and colour."""
    image = Image.new("RGB", size, background)
    for left, top, side, colour in squares:
        image.paste(colour, (left, top, left + side, top + side))
    return image


def test_an_animal_is_named_by_what_is_in_its_box(classifier: Classifier, detector: Detector) -> None:
    scene = SceneClassifier(classifier, detector).look(picture(LION, (100, 100, 90, CAT)))
    (box,) = scene.boxes
    assert (scene.width, scene.height) == (800, 600)
    assert (box.detection.category, box.prediction.label) == ("animal", "cat")
    assert box.prediction.probabilities is not None
    assert scene.whole is None
    assert scene.strongest(0.2) == box


def test_people_are_found_and_not_named(classifier: Classifier, detector: Detector) -> None:
    scene = SceneClassifier(classifier, detector).look(picture(GREY, (100, 100, 90, CAT), (500, 300, 150, DOG)))
    assert [(one.detection.category, one.prediction is None) for one in scene.boxes] == [
        ("animal", False),
        ("person", True),
    ]


def test_where_nothing_is_found_the_whole_picture_is_named(classifier: Classifier, detector: Detector) -> None:
    scene = SceneClassifier(classifier, detector).look(picture(LION))
    assert scene.boxes == ()
    assert scene.whole is not None
    assert (scene.whole.label, scene.searched) == ("lion", True)


def test_a_box_below_the_threshold_does_not_stand_for_the_picture(classifier: Classifier, detector: Detector) -> None:
    scene = SceneClassifier(classifier, detector, threshold=0.95).look(picture(LION, (100, 100, 90, CAT)))
    assert [one.prediction.label for one in scene.boxes if one.prediction] == ["cat"]
    assert scene.whole is not None
    assert scene.whole.label == "lion"
    assert scene.strongest(0.95) is None


def test_the_cascade_looks_for_boxes_only_where_it_must(classifier: Classifier, detector: Detector) -> None:
    asked: list[str] = []

    class Watched(Detector):
        def find(self, photo: Photo) -> tuple[Detection, ...]:
            asked.append("find")
            return super().find(photo)

    scenes = SceneClassifier(classifier, Watched(detector.bundle), when="unsure")
    sure = scenes.look(picture(LION))
    assert (sure.searched, sure.whole.label if sure.whole else "") == (False, "lion")
    assert asked == []
    # As much red as green and blue: as a whole it is grey, which is nothing.
    doubtful = scenes.look(picture(GREY, (200, 200, 90, CAT), (350, 200, 90, DOG), (500, 200, 90, LION)))
    assert [one.prediction.label for one in doubtful.boxes if one.prediction] == ["cat"]
    assert doubtful.whole is None
    assert (doubtful.searched, asked) == (True, ["find"])


def encoded(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


DOUBTFUL = ((200, 200, 90, CAT), (350, 200, 90, DOG), (500, 200, 90, LION))


def test_small_pictures_are_named_together_and_searched_as_one_by_one_would_be(
    classifier: Classifier, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = SceneClassifier(classifier, detector, when="unsure")
    pictures = [encoded(picture(LION)), encoded(picture(GREY, *DOUBTFUL)), encoded(picture(CAT)), b"no picture"] * 10
    alone = [scenes.look(one) for one in pictures[:3]]
    named: list[int] = []
    classify = classifier.classify_in_batches

    def counted(photos: Sequence[np.ndarray], *, top_k: int = 5) -> list[Prediction]:
        named.append(len(photos))
        return classify(photos, top_k=top_k)

    monkeypatch.setattr(classifier, "classify_in_batches", counted)
    found = [answer for _, answer in scenes.look_items([Item(str(place), one) for place, one in enumerate(pictures)])]
    assert max(named) > 4, "wholes of several pictures at once"
    assert sum(named) == 10 * (3 + 1), "each once only: three of four can be read, and one of those has an animal"
    for start in range(0, len(found), 4):
        assert [_told(scene) for scene in found[start : start + 3]] == [_told(scene) for scene in alone]
        assert isinstance(found[start + 3], ImageError)
    assert [scene.searched for scene in alone] == [False, True, False]


def _told(scene: Scene | ImageError) -> list[object]:
    assert isinstance(scene, Scene)
    boxes = [(one.detection, one.prediction and one.prediction.label) for one in scene.boxes]
    return [scene.searched, scene.whole and scene.whole.label, *boxes]


def test_no_memory_for_the_search_leaves_the_answer_of_the_whole(
    classifier: Classifier, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    decodings: list[int] = []

    @contextmanager
    def once(source: ImageSource, **options: Any) -> Iterator[Photo]:
        decodings.append(1)
        if len(decodings) > 1:
            raise ImageMemoryError("takes more memory than there is")
        with opened(source, **options) as photo:
            yield photo

    monkeypatch.setattr("animal_classification.detection.scene_classifier.opened", once)
    scenes = SceneClassifier(classifier, detector, when="unsure")
    ((_, scene),) = scenes.look_items([Item("a", encoded(picture(GREY, *DOUBTFUL)))])
    assert isinstance(scene, Scene)
    assert (len(decodings), scene.searched, scene.boxes) == (2, False, ())
    assert scene.whole is not None


@pytest.mark.parametrize(
    ("box", "again"), [((0.0, 0.0, 1.0, 1.0), 0), ((0.14, 0.02, 0.74, 0.97), 0), ((0.0, 0.0, 0.3, 0.4), 1)]
)
def test_a_box_that_is_nearly_all_of_the_picture_is_not_named_again(
    classifier: Classifier, detector: Detector, box: tuple[float, ...], again: int
) -> None:
    class Finds(Detector):
        def find(self, photo: Photo) -> tuple[Detection, ...]:
            x, y, width, height = box
            return (Detection(category="animal", confidence=0.9, x=x, y=y, width=width, height=height),)

    scenes = SceneClassifier(classifier, Finds(detector.bundle), when="unsure", is_sure=lambda _: False)
    prepared = scenes.prepare(picture(LION, (0, 0, 300, CAT)))
    assert len(prepared.pixels) == again
    (scene,) = scenes.name([prepared])
    assert [one.prediction.label for one in scene.boxes if one.prediction] == ["cat" if again else "lion"]


def test_boxes_of_somebody_else_take_the_place_of_a_detector(classifier: Classifier) -> None:
    box = Detection(category="animal", confidence=0.7, x=0.125, y=1 / 6, width=0.1125, height=0.15)

    def given(name: str, size: tuple[int, int]) -> tuple[Detection, ...] | None:
        assert size == (800, 600)
        return {"seen": (box,), "empty": ()}.get(name)

    scenes = SceneClassifier(classifier, threshold=0.2, given=given)
    one = picture(LION, (100, 100, 90, CAT))
    items = [Item("seen", one), Item("empty", one), Item("nobody looked", one), Item("bad", b"no picture")]
    seen, empty, not_looked_at, bad = (answer for _, answer in scenes.look_items(items))
    assert not isinstance(seen, ImageError)
    assert [named.prediction.label for named in seen.boxes if named.prediction] == ["cat"]
    assert not isinstance(empty, ImageError)
    assert (empty.searched, empty.whole.label if empty.whole else "") == (True, "lion")
    assert not isinstance(not_looked_at, ImageError)
    assert (not_looked_at.searched, not_looked_at.whole.label if not_looked_at.whole else "") == (False, "lion")
    assert isinstance(bad, ImageError)


def test_a_herd_is_named_as_one_animal_is(classifier: Classifier) -> None:
    boxes = tuple(
        Detection(category="animal", confidence=0.9 - index / 1000, x=0.125, y=1 / 6, width=0.1125, height=0.15)
        for index in range(40)
    )
    scenes = SceneClassifier(classifier, threshold=0.2, given=lambda name, size: boxes)
    ((_, herd),) = scenes.look_items([Item("herd", picture(LION, (100, 100, 90, CAT)))])
    assert not isinstance(herd, ImageError)
    assert [one.prediction.label for one in herd.boxes if one.prediction] == ["cat"] * 40


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_small_animal_in_a_large_jpeg_is_cut_from_all_its_pixels(
    classifier: Classifier, detector: Detector, tmp_path: Path, orientation: int
) -> None:
    """The crop is what ``imaging`` cuts out of the file itself, not of the smaller picture that the detector saw."""
    image = picture(LION, (2000, 1500, 200, CAT), size=(4000, 3000))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "large.jpg", quality=95, exif=exif)
    scenes = SceneClassifier(classifier, detector)
    prepared = scenes.prepare(tmp_path / "large.jpg")
    (crop,) = prepared.pixels
    exact = _cut(tmp_path / "large.jpg", classifier, prepared.scene.boxes[0].crop)
    assert np.abs(crop[0].astype(int) - exact.astype(int)).mean() < 3
    (scene,) = scenes.name([prepared])
    assert [one.prediction.label for one in scene.boxes if one.prediction] == ["cat"]


def _cut(path: Path, classifier: Classifier, crop: Sequence[float] | None) -> np.ndarray:
    from animal_classification import imaging

    assert crop is not None
    left, top, right, bottom = crop
    whole: np.ndarray = imaging.crops(path, classifier.spec, box=(left, top, right, bottom))[0]
    return whole


@pytest.mark.parametrize("size", [(400, 200), (200, 400), (300, 300)])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.4, 0.45), (0.9, 0.9)])
def test_crops_are_square_inside_and_around_the_box(size: tuple[int, int], place: tuple[float, float]) -> None:
    width, height = size
    box = Detection(category="animal", confidence=1, x=place[0], y=place[1], width=0.1, height=0.1)
    left, top, right, bottom = square_crop(box, width, height)
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    assert (right - left) * width == pytest.approx((bottom - top) * height, abs=1e-4)
    assert (right - left) * width == pytest.approx(MARGIN * 0.1 * max(size), abs=1e-4)
    assert left <= box.x + 1e-9
    assert right >= box.x + box.width - 1e-9


def test_a_crop_is_never_larger_than_the_picture() -> None:
    box = Detection(category="animal", confidence=1, x=0, y=0, width=1, height=1)
    assert square_crop(box, 400, 200) == (0.25, 0.0, 0.75, 1.0)
