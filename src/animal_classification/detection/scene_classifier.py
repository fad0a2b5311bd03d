"""Finds the animals in pictures and names each: one decoding for all boxes of a picture, one batch across pictures.

``predict`` and the server look at pictures through this. Where nothing is found, the whole picture is named.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import numpy as np

from animal_classification.data.detections import Detection
from animal_classification.data.square_crop import square_crop
from animal_classification.detection.nms import intersection_over_union
from animal_classification.detection.scene import NamedBox, Scene
from animal_classification.errors import ImageError
from animal_classification.imaging.bounded_read import read_photo
from animal_classification.imaging.decoding import opened, sufficient_side
from animal_classification.inference.stream import Item, Stream

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from animal_classification.common.parallel import Executor
    from animal_classification.detection.detector import Detector
    from animal_classification.imaging import ImageSource
    from animal_classification.imaging.geometry import Box
    from animal_classification.imaging.photo import Photo
    from animal_classification.inference.classifier import Classifier
    from animal_classification.inference.results import Prediction

# Crops of a picture that wait for those of others; a herd is named at once, so that crops never fill the memory.
_MOST_WAITING = 16
# Pictures that are decoded again when they have been named: with an encoding and a size of at most so much.
_SMALL_BYTES, _SMALL_PIXELS = 1 << 20, 1 << 20
_AS_GOOD_AS_ALL = 0.8  # intersection over union with the central square
When = Literal["always", "unsure"]
WHENS: tuple[str, ...] = get_args(When)
FindGiven = Callable[[str, tuple[int, int]], tuple[Detection, ...] | None]
"""From an item's name and the size of its upright picture to boxes; ``None`` where nobody looked at it."""
IsSure = Callable[["Prediction"], bool]
PictureItem = TypeVar("PictureItem", bound=Item)


@dataclass(frozen=True, slots=True)
class PreparedScene:
    """A picture that was decoded and searched, with the pixels that are still to be named.

    Attributes:
        scene: What is known so far; animals have no prediction yet.
        pixels: Of each animal in order, then of the whole picture where it is wanted: uint8 ``[crops, size, size, 3]``.
        wants_whole: Whether the last of them is the whole picture.
        source: The picture, if it is to be searched only where its name as a whole is not enough.
    """

    scene: Scene
    pixels: tuple[NDArray[np.uint8], ...]
    wants_whole: bool
    source: ImageSource | None = None


class SceneClassifier:
    """Pictures to scenes.

    >>> scenes = SceneClassifier(Classifier.load("photos"), Detector.load("lite"))
    >>> [one.prediction.label for one in scenes.look("trail.jpg").boxes]
    ['coyote']

    One instance may be used from several threads at once.

    Args:
        classifier: Names what is in a box, or in all of a picture.
        detector: Finds boxes; without it, pictures are named as a whole, or boxes are given.
        threshold: Confidence from which a box counts: without one, the whole picture is named. By default the
            detector's own ``typical``.
        when: ``unsure``: the whole picture is named first, and searched only where ``is_sure`` says no.
        is_sure: Whether an answer for the whole picture is good enough.
        given: Boxes of somebody else, in place of a detector.
    """

    def __init__(
        self,
        classifier: Classifier,
        detector: Detector | None = None,
        *,
        threshold: float | None = None,
        when: When = "always",
        is_sure: IsSure | None = None,
        given: FindGiven | None = None,
    ) -> None:
        self.classifier = classifier
        self.detector = detector
        typical = detector.info.threshold.typical if detector else 0.0
        self.threshold = typical if threshold is None else threshold
        self._is_sure = (is_sure or _names_a_label) if when == "unsure" else None
        self._given = given

    def look(self, picture: ImageSource, *, top_k: int = 5, given: Sequence[Detection] | None = None) -> Scene:
        """One picture, on this thread.

        Args:
            picture: A path, encoded bytes, a PIL image or an array.
            top_k: How many of the most probable labels an answer has.
            given: Boxes that are known already.

        Raises:
            ImageError: It cannot be used.
            EngineError: An engine failed.
        """
        boxes = None if given is None else tuple(given)
        seen = self.prepare(picture, boxes=boxes, top_k=top_k)
        return self.name([seen], top_k=top_k)[0]

    def look_items(
        self,
        items: Iterable[PictureItem],
        *,
        top_k: int = 5,
        stopped: Callable[[], bool] | None = None,
        executor: Executor | None = None,
    ) -> Generator[tuple[PictureItem, Scene | ImageError], None, None]:
        """Any number of pictures, in order, with flat memory; see ``Classifier.predict_items``."""
        stream: Stream[PictureItem, PreparedScene, Scene] = Stream(
            partial(self._prepared, top_k=top_k), partial(self.name, top_k=top_k)
        )
        return stream.run(items, threads=self.classifier.threads, stopped=stopped, executor=executor)

    def prepare(
        self,
        picture: ImageSource,
        *,
        boxes: tuple[Detection, ...] | None = None,
        name: str = "",
        top_k: int = 5,
    ) -> PreparedScene:
        """Decode a picture, search it, and cut out what is to be named; :meth:`name` takes the result.

        Raises:
            ImageError: It cannot be used.
        """
        return self._looked(self._bytes(picture), boxes, name, top_k, may_wait=False)

    def name(self, seen: Sequence[PreparedScene], *, top_k: int = 5) -> list[Scene]:
        """Name what was cut out of several pictures, on this thread.

        Raises:
            EngineError: The engine failed.
        """
        answers = iter(self._classified([one for each in seen for one in each.pixels], top_k))
        scenes = [self._named(one, answers) for one in seen]
        later = {place: found for place, one in enumerate(seen) if (found := self._searched_later(one, scenes[place]))}
        if later:
            for place, scene in zip(later, self.name(list(later.values()), top_k=top_k), strict=True):
                scenes[place] = scene
        return scenes

    def _looked(
        self,
        source: ImageSource,
        boxes: tuple[Detection, ...] | None,
        name: str,
        top_k: int,
        *,
        may_wait: bool,
    ) -> PreparedScene:
        """See ``prepare``; a small picture that may wait is searched when it has been named as a whole."""
        whole = None
        with self._opened(source) as photo:
            if boxes is None and self._given is not None:
                boxes = self._given(name, photo.size)
            if boxes is None and self._is_sure is not None and self.detector is not None:
                all_of_it = photo.crops_for_model(self.classifier.spec)
                if may_wait and _is_small(source, photo):
                    return PreparedScene(Scene(*photo.size, searched=False), (all_of_it,), True, source)
                (whole,) = self._classified([all_of_it], top_k)
                if self._is_sure(whole):
                    return PreparedScene(Scene(*photo.size, whole=whole, searched=False), (), wants_whole=False)
            seen, coarse = self._searched(photo, boxes, whole)
        # The first decoding is let go before the second claims its memory: two at once could wait for each other.
        return self._cut_finer(source, seen) if coarse else seen

    def _searched_later(self, seen: PreparedScene, scene: Scene) -> PreparedScene | None:
        """A picture that waited for its name, searched; ``None`` for one that did not wait or whose name is enough."""
        if seen.source is None or self._is_sure is None or scene.whole is None or self._is_sure(scene.whole):
            return None
        try:
            with self._opened(seen.source) as photo:
                found, coarse = self._searched(photo, None, scene.whole)
            return self._cut_finer(seen.source, found) if coarse else found
        except ImageError:  # it was decoded a moment ago: only memory can be short now, and it has an answer
            return None

    def _opened(self, source: ImageSource, least_side: int | None = None) -> AbstractContextManager[Photo]:
        return opened(source, limits=self.classifier.limits, min_side=least_side or self._least_side)

    def _searched(
        self, photo: Photo, boxes: tuple[Detection, ...] | None, whole: Prediction | None
    ) -> tuple[PreparedScene, bool]:
        """What is in a picture, and whether its crops want to be cut from a finer decoding: they are left out then."""
        searched = boxes is not None or self.detector is not None
        if boxes is None:
            boxes = self.detector.find(photo) if self.detector else ()
        named = self._named_boxes(boxes, photo.size, whole)
        wants_whole = whole is None and not any(box.confidence >= self.threshold for box in boxes)
        crops = _unnamed(named)
        coarse = self._too_coarse(photo, crops)
        pixels = () if coarse else tuple(self._cut(photo, crop) for crop in crops)
        all_of_it = (photo.crops_for_model(self.classifier.spec),) if wants_whole else ()
        return PreparedScene(Scene(*photo.size, named, whole, searched), (*pixels, *all_of_it), wants_whole), coarse

    def _cut_finer(self, source: ImageSource, seen: PreparedScene) -> PreparedScene:
        crops = _unnamed(seen.scene.boxes)
        with self._opened(source, self._side_for(crops)) as photo:
            return replace(seen, pixels=(*(self._cut(photo, crop) for crop in crops), *seen.pixels))

    def _classified(self, photos: Sequence[NDArray[np.uint8]], top_k: int) -> list[Prediction]:
        return self.classifier.classify_in_batches(photos, top_k=top_k)

    def _named(self, seen: PreparedScene, answers: Iterator[Prediction]) -> Scene:
        named = tuple(
            one if one.crop is None or one.prediction else replace(one, prediction=next(answers))
            for one in seen.scene.boxes
        )
        whole = next(answers) if seen.wants_whole else seen.scene.whole
        if any(one.detection.confidence >= self.threshold for one in named):
            whole = None
        return replace(seen.scene, boxes=named, whole=whole)

    def _prepared(self, item: Item, top_k: int) -> PreparedScene:
        seen = self._looked(self._bytes(item.source), None, item.name, top_k, may_wait=True)
        if len(seen.pixels) <= _MOST_WAITING:
            return seen
        (scene,) = self.name([seen], top_k=top_k)
        return PreparedScene(scene, (), wants_whole=False)

    def _bytes(self, picture: ImageSource) -> ImageSource:
        """A file is read once, though it may be decoded twice."""
        return read_photo(picture, self.classifier.limits) if isinstance(picture, (str, os.PathLike)) else picture

    @property
    def _least_side(self) -> int:
        """Enough for the detector and for the whole picture; crops may want more."""
        least = sufficient_side(self.classifier.spec)
        return max(least, self.detector.least_side) if self.detector else least

    def _named_boxes(
        self, boxes: Sequence[Detection], size: tuple[int, int], whole: Prediction | None
    ) -> tuple[NamedBox, ...]:
        """Boxes, the surest first; one that is as good as all of the picture has the name of that."""
        named = []
        for box in sorted(boxes, key=lambda box: -box.confidence):
            crop = square_crop(box, *size) if box.category == "animal" else None
            known = whole if crop is not None and _is_the_middle(crop, size) else None
            named.append(NamedBox(box, known, crop))
        return tuple(named)

    def _too_coarse(self, photo: Photo, crops: Sequence[Box]) -> bool:
        """Whether a crop has fewer pixels here than the model wants, and the file has more."""
        scale = photo.extent[0] / photo.full_size[0]
        return scale < 1 and any(scale * _side(crop, photo.size) < self.classifier.spec.resize_to for crop in crops)

    def _side_for(self, crops: Sequence[Box]) -> int:
        share = min(min(right - left, bottom - top) for left, top, right, bottom in crops)
        return math.ceil(sufficient_side(self.classifier.spec) / share)

    def _cut(self, photo: Photo, crop: Box) -> NDArray[np.uint8]:
        return photo.inside(crop).for_model(self.classifier.spec)[None]


def _unnamed(boxes: Iterable[NamedBox]) -> list[Box]:
    """The crops that are still to be named."""
    return [one.crop for one in boxes if one.crop is not None and one.prediction is None]


def _is_small(source: ImageSource, photo: Photo) -> bool:
    """Whether a second decoding costs less than naming pictures one by one."""
    few_bytes = isinstance(source, bytes) and len(source) <= _SMALL_BYTES
    return few_bytes and photo.full_size[0] * photo.full_size[1] <= _SMALL_PIXELS


def _is_the_middle(crop: Box, size: tuple[int, int]) -> bool:
    """Whether a square crop is nearly the central square, which is what a model sees of the whole picture."""
    width, height = size
    side = min(width, height)
    middle = np.array([width - side, height - side, width + side, height + side]) / 2
    corners = np.array([crop]) * [width, height, width, height]
    return bool(intersection_over_union(middle, corners)[0] >= _AS_GOOD_AS_ALL)


def _side(crop: Box, size: tuple[int, int]) -> float:
    """Of a square crop, in pixels of the file."""
    return (crop[2] - crop[0]) * size[0]


def _names_a_label(prediction: Prediction) -> bool:
    return prediction.answer.level == "label"
