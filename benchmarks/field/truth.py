"""Trail photos with the truth about each, and what an answer is worth."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animal_classification.bundle.schema import Label
from animal_classification.taxonomy import Taxonomy

VERDICTS = ("right", "coarse", "animal", "blank", "wrong")


@dataclass(frozen=True)
class TruePhoto:
    """One photo: its group and, where the model has it, its label; boxes as `[x, y, width, height]`."""

    file: str
    group: str
    label: str
    boxes: tuple[tuple[float, float, float, float], ...]


def read_truth(folder: Path) -> list[TruePhoto]:
    """The photos of `truth.csv` whose group the built-in model knows."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "photo" and row["photos_group"]]
    return [TruePhoto(row["file"], row["photos_group"], row["photos_label"], boxes_of(row["boxes"])) for row in rows]


def boxes_of(text: str) -> tuple[tuple[float, float, float, float], ...]:
    """A cell of the column `boxes`."""
    return tuple((x, y, width, height) for x, y, width, height in json.loads(text or "[]"))


def as_recognitions(photos: list[TruePhoto]) -> dict[str, Any]:
    """The true boxes as MegaDetector's file, for `--detections`."""
    return {
        "info": {"format_version": "1.5", "detector": "truth"},
        "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
        "images": [
            {"file": photo.file, "detections": [{"category": "1", "conf": 0.99, "bbox": box} for box in photo.boxes]}
            for photo in photos
            if photo.boxes
        ],
    }


@dataclass(frozen=True)
class Judge:
    """Says what an answer is worth, by the labels that it may stand for."""

    taxonomy: Taxonomy

    def verdict(self, row: dict[str, Any], photo: TruePhoto) -> str:
        """`right`: the group or something in it, and the true label where a label is answered and it is known;
        `coarse`: a wider taxon that holds the group; `animal`; `blank`; else `wrong`."""
        answer, level = row["answer"], row["answer_level"]
        if level in ("blank", "unknown", "") or not answer:
            return "blank"
        if level == "animal":
            return "animal"
        said, group = self._members(answer, row["scientific_name"]), self._group(photo.group)
        if said <= group:
            named = level == "label" and photo.label
            return "right" if not named or answer == photo.label else "wrong"
        return "coarse" if said >= group else "wrong"

    def _members(self, answer: str, scientific_name: str) -> frozenset[int]:
        labels = frozenset(index for index, label in enumerate(self.taxonomy.labels) if label.name == answer)
        taxa = [
            taxon for taxon in self.taxonomy.taxa if taxon.name == answer and taxon.scientific_name == scientific_name
        ]
        return frozenset(taxa[0].members) if taxa and not labels else labels

    def _group(self, group: str) -> frozenset[int]:
        return frozenset(index for index, label in enumerate(self.taxonomy.labels) if _in_group(label, group))


def _in_group(label: Label, group: str) -> bool:
    return group in label.groups
