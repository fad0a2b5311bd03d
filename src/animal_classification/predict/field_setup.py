"""From a request to what looks at pictures: the detector, or the boxes of another program, and their rules."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
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
        detector = None if request.detector is None else Detector.load(request.detector, threads=classifier.threads)
        given = None if request.detections is None else read_recognitions(request.detections)
        source = _source(request, detector, given)
        matched = None if given is None else MatchedBoxes.of(given, photos)
        notes = () if given is None or matched is None else (given.says_of(matched.match), *given.notes)
        threshold = request.rules.threshold
        if threshold is None and source is not None:
            threshold = source.typical
        scenes = SceneClassifier(
            classifier,
            detector,
            threshold=request.rules.threshold
            if source is None or request.rules.threshold is not None
            else source.typical,
            when=request.detect,
            is_sure=_FamilyIsEnough(Taxonomy.of(classifier.info)),
            given=matched,
        )
        # Names of other forms are looked at when tables are made, so that `convert` can do with and without them.
        inference = FieldPhotos(scenes, TimeRules())
        return cls(inference, FieldRun.of(classifier.info, source, request.detect), notes)


@dataclass(frozen=True)
class MatchedBoxes:
    """Boxes of another program by the names of photos: no entry goes to two of them."""

    recognitions: Recognitions
    match: Match

    @classmethod
    def of(cls, recognitions: Recognitions, photos: PhotoSource) -> MatchedBoxes:
        """For all photos of a run.

        Raises:
            UsageError: Which entry belongs to which photo is ambiguous, or they are names and no boxes.
        """
        if not recognitions.has_boxes and not recognitions.needs_size:
            raise UsageError(
                f"{recognitions.where}: {recognitions.dialect} without boxes, which says where in no picture an animal "
                "is; name a file with boxes, or use --detector lite"
            )
        return cls(recognitions, recognitions.match(photo.name for photo in photos.walk()))

    def __call__(self, name: str, size: tuple[int, int]) -> tuple[Detection, ...] | None:
        position = self.match.entry_of.get(name)
        return None if position is None else self.recognitions.boxes_of(self.recognitions.entries[position], size)


@dataclass(frozen=True)
class _FamilyIsEnough:
    """Whether an answer for the whole picture needs no second look: a label, or a family, at the threshold."""

    taxonomy: Taxonomy

    def __call__(self, prediction: Prediction) -> bool:
        if prediction.unknown or prediction.probabilities is None:
            return False
        decision = self.taxonomy.decide(prediction.probabilities[: len(self.taxonomy.labels)])
        return decision.level == "label" or bool(decision.lineage.family)


def _source(request: FieldRequest, detector: Detector | None, given: Recognitions | None) -> BoxSource | None:
    if detector is not None:
        return BoxSource.of(detector)
    if given is None or request.detections is None:
        return None
    path = Path(request.detections)
    sha256 = hash_file(path) if path.is_file() else hashlib.sha256(repr(given.entries).encode()).hexdigest()
    return BoxSource(
        name=given.detector or given.dialect,
        version=given.detector_version,
        sha256=sha256,
        typical=_USUAL_THRESHOLD if given.typical_threshold is None else given.typical_threshold,
        categories=("animal", "person", "vehicle"),
        file=True,
    )
