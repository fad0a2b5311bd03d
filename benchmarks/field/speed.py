"""Predicting crops beside what decoding and inference allow: the same photos and boxes, and nothing else done."""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from animal_classification.detection.detector import Detector
from animal_classification.detection.scene_classifier import PreparedScene, SceneClassifier
from animal_classification.inference import Classifier
from animal_classification.inference.stream import Item, Stream
from animal_classification.predict.field_request import FieldRequest
from animal_classification.predict.job import run
from animal_classification.predict.request import PredictRequest
from benchmarks.field.truth import TruePhoto, as_recognitions, boxes_of


def speed(folder: Path, detector: str, count: int) -> str:
    """Two lines of a table: boxes given, and a detector. Times are CPU seconds, since others may use the machine."""
    photos = photos_of(folder)
    with tempfile.TemporaryDirectory() as place:
        copies = Path(place, "photos")
        copies.mkdir()
        many = []
        for number in range(count):
            photo = photos[number % len(photos)]
            name = f"{number:05}.jpg"
            (copies / name).symlink_to((folder / photo.file).resolve())
            many.append(TruePhoto(name, photo.group, photo.label, photo.boxes))
        truth = Path(place, "truth.json")
        truth.write_text(json.dumps(as_recognitions(many)), encoding="utf-8")
        lines = [
            _compared("boxes given", copies, FieldRequest(detections=str(truth)), place),
            _compared(detector, copies, FieldRequest(detector=detector), place),
        ]
    head = "| | photos/CPU s | decoding and inference | share |\n|---|---|---|---|"
    return "\n".join([head, *lines])


def _compared(name: str, folder: Path, field: FieldRequest, place: str) -> str:
    count = len(list(folder.iterdir()))
    ours, allowed = [], []
    for turn in range(2):
        output = str(Path(place, f"{name}-{turn}.csv".replace(" ", "-")))
        ours.append(
            _seconds(lambda output=output: run(PredictRequest(paths=(str(folder),), output=output, field=field)))
        )
        allowed.append(_floor(folder, field))
    return f"| {name} | {count / min(ours):.1f} | {count / min(allowed):.1f} | {min(allowed) / min(ours):.2f} |"


def _floor(folder: Path, field: FieldRequest) -> float:
    """Decode and cut out, and name what was cut out, each by itself."""
    scenes = _scenes(field)
    items = [Item(path.name, str(path)) for path in sorted(folder.iterdir())]
    kept: list[PreparedScene] = []

    def decode() -> None:
        stream: Stream[Item, PreparedScene, PreparedScene] = Stream(partial(_prepared, scenes), list)
        kept.extend(one for _, one in stream.run(items) if isinstance(one, PreparedScene))

    decoding = _seconds(decode)
    inference = _seconds(lambda: [scenes.name(kept[start : start + 24]) for start in range(0, len(kept), 24)])
    return decoding + inference


def _prepared(scenes: SceneClassifier, item: Item) -> PreparedScene:
    return scenes.prepare(item.source, name=item.name)


def _scenes(field: FieldRequest) -> SceneClassifier:
    classifier = Classifier.load("photos")
    if field.detector:
        return SceneClassifier(classifier, Detector.load(field.detector))
    from animal_classification.data.recognitions import read_recognitions

    assert field.detections is not None
    return SceneClassifier(classifier, given=read_recognitions(field.detections).of, threshold=0.2)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def photos_of(folder: Path) -> list[TruePhoto]:
    """The photos of `truth.csv` in which somebody has found animals."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "photo" and row["boxes"]]
    return [TruePhoto(row["file"], "", "", boxes_of(row["boxes"])) for row in rows]
