"""From a request to what looks at pictures: the detector, or the boxes of another program, and their rules."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.hashes import hash_file
from animal_classification.data.recognitions import Match, Recognitions, read_recognitions
from animal_classification.detection.detector import Detector
from animal_classification.detection.scene_classifier import SceneClassifier
from animal_classification.errors import UsageError
from animal_classification.field.camera_clock import TimeRules
from animal_classification.predict.field_run import BoxSource, FieldRun
from animal_classification.predict.photo_inference import FieldPhotos
from animal_classification.taxonomy import Taxonomy

if TYPE_CHECKING:
    from animal_classification.data.detections import Detection
    from animal_classification.data.discovery import PhotoSource
    from animal_classification.detection.scene_classifier import FindGiven
    from animal_classification.inference.classifier import Classifier
    from animal_classification.inference.results import Prediction
    from animal_classification.predict.field_request import FieldRequest

# Where a file with boxes does not say what counts: MegaDetector's own, https://github.com/agentmorris/MegaDetector.
_USUAL_THRESHOLD = 0.2


@dataclass(frozen=True)
class FieldSetup:
    """What a field run works with.

    Attributes:
        photos: Looks at them.
        run: What tables are made from later.
        notes: What the user should know of a file with boxes, a line each.
    """

    photos: FieldPhotos
    run: FieldRun
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: FieldRequest, classifier: Classifier, photos: PhotoSource) -> FieldSetup:
        """Load and read what the request names; boxes of another program are matched with all photos at once.

        Raises:
            AnimalsError: Something of it cannot be used.
        """
        if request.detections is None:
            return cls.finding(request, classifier)
        given = read_boxes(request.detections)
        matched = MatchedBoxes.of(given, photos)
        notes = (given.says_of(matched.match), *given.notes)
        return cls.given(request, classifier, box_source(given, request.detections), matched, notes)

    @classmethod
    def finding(cls, request: FieldRequest, classifier: Classifier) -> FieldSetup:
        """With a detector of ours, or none.

        Raises:
            AnimalsError: It cannot be used.
        """
        if request.detector is None:
            return cls._with(request, classifier, None)
        detector = Detector.load(request.detector, threads=classifier.threads)
        return cls._with(request, classifier, BoxSource.of(detector), detector=detector)

    @classmethod
    def given(
        cls, request: FieldRequest, classifier: Classifier, source: BoxSource, find: FindGiven, notes: tuple[str, ...]
    ) -> FieldSetup:
        """With boxes of another program, which ``find`` gives."""
        made = cls._with(request, classifier, source, given=find)
        return replace(made, notes=notes)

    @classmethod
    def _with(
        cls,
        request: FieldRequest,
        classifier: Classifier,
        source: BoxSource | None,
        *,
        detector: Detector | None = None,
        given: FindGiven | None = None,
    ) -> FieldSetup:
        threshold = request.rules.threshold
        if threshold is None and source is not None:
            threshold = source.typical
        scenes = SceneClassifier(
            classifier,
            detector,
            threshold=threshold,
            when=request.detect,
            is_sure=_NameIsEnough(Taxonomy.of(classifier.info)),
            given=given,
        )
        # Names of other forms are looked at when tables are made, so that `convert` can do with and without them.
        inference = FieldPhotos(scenes, TimeRules())
        return cls(inference, FieldRun.of(classifier.info, source, request.detect))


@dataclass(frozen=True)
class MatchedBoxes:
    """Boxes of another program by the names of photos: no entry goes to two of them."""

    recognitions: Recognitions
    match: Match

    @classmethod
    def of(cls, recognitions: Recognitions, photos: PhotoSource) -> MatchedBoxes:
        """For all photos of a run.

        Raises:
            UsageError: Which entry belongs to which photo is ambiguous.
        """
        return cls(recognitions, recognitions.match(photo.name for photo in photos.walk()))

    def __call__(self, name: str, size: tuple[int, int]) -> tuple[Detection, ...] | None:
        position = self.match.entry_of.get(name)
        return None if position is None else self.recognitions.boxes_of(self.recognitions.entries[position], size)


@dataclass(frozen=True)
class _NameIsEnough:
    """Whether an answer for the whole picture needs no second look: a label, a family, or a group such as snake.

    Of 13 pictures for which the whole gave a group, a search put one label right and two wrong: docs/field.md.
    """

    taxonomy: Taxonomy

    def __call__(self, prediction: Prediction) -> bool:
        if prediction.unknown or prediction.probabilities is None:
            return False
        decision = self.taxonomy.decide(prediction.probabilities[: len(self.taxonomy.labels)])
        return decision.level in ("label", "group") or bool(decision.lineage.family)


def read_boxes(file: str) -> Recognitions:
    """What another program wrote, if it is boxes.

    Raises:
        AnimalsError: It cannot be read.
        UsageError: They are names and no boxes.
    """
    found = read_recognitions(file)
    if not found.has_boxes and not found.needs_size:
        raise UsageError(
            f"{found.where}: {found.dialect} without boxes, which says where in no picture an animal is; name a file "
            "with boxes, or use --detector lite"
        )
    return found


def box_source(given: Recognitions, file: str) -> BoxSource:
    """Another program as the source of boxes, which it wrote into this file or folder."""
    path = Path(file)
    sha256 = hash_file(path) if path.is_file() else hashlib.sha256(repr(given.entries).encode()).hexdigest()
    return BoxSource(
        name=given.detector or given.dialect,
        version=given.detector_version,
        sha256=sha256,
        typical=_USUAL_THRESHOLD if given.typical_threshold is None else given.typical_threshold,
        categories=("animal", "person", "vehicle"),
        file=True,
    )
