"""The gate: a candidate against the model in production, on the same photos that neither has learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.progress import Progress, silent
from animal_classification.data.manifest import FRESH, Manifest
from animal_classification.evaluation.eval_set import (
    NO_TARGET,
    Others,
    Subject,
    independent_units,
    mark_seen,
    match_labels,
)
from animal_classification.evaluation.model_outputs import compute_outputs
from animal_classification.inference.postprocess import Postprocessor
from animal_classification.inference.reference import TrainingReference
from animal_classification.loop.cost import cost_test
from animal_classification.loop.gate_tests import (
    GateTest,
    PairedAnswers,
    Verdict,
    calibration_test,
    class_test,
    fresh_test,
    frozen_test,
    label_test,
    overall,
    stranger_test,
    unknown_test,
)

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.loop.config import GateConfig

SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class GatePhotos:
    """What two models are compared on.

    Attributes:
        frozen: Photos that never change.
        current: All photos; the fresh ones among them are looked at.
        strangers: Photos of none of the classes.
        cache: Folder for what is known about files; the user's own by default.
    """

    frozen: Manifest
    current: Manifest
    strangers: Others = field(default_factory=Others)
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """A photo that only one of the two models has right.

    Attributes:
        file: Where it is.
        label: What it shows.
        old: What the model in production says.
        new: What the candidate says.
        better: The candidate is right.
    """

    file: str
    label: str
    old: str
    new: str
    better: bool

    def as_object(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """What the gate found.

    Attributes:
        verdict: Of the whole.
        tests: Its lines.
        changed: Some photos that only one of the two has right, as many of each kind as there is room for.
        notes: What a person should know.
    """

    verdict: Verdict
    tests: tuple[GateTest, ...]
    changed: tuple[Changed, ...] = ()
    notes: tuple[str, ...] = ()

    def as_object(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "verdict": self.verdict,
            "tests": [test.as_object() for test in self.tests],
            "changed": [one.as_object() for one in self.changed],
            "notes": list(self.notes),
        }


def compare_models(
    old: Bundle, new: Bundle, photos: GatePhotos, config: GateConfig, progress: Progress = silent
) -> GateResult:
    """Hold a candidate against the model in production.

    Args:
        old: In production.
        new: The candidate.
        photos: To compare them on; those that either has seen, or copies of which, are left out.
        config: Margins.
        progress: Told what is measured.

    Raises:
        EngineError: A model cannot be run.
    """
    frozen = _subjects(photos.frozen, "test")
    fresh = _subjects(photos.current, FRESH)
    subjects, left_out = _unseen([*frozen, *fresh], (old, new), photos.cache)
    is_fresh = np.array([subject.row.split == FRESH for subject in subjects], dtype=np.bool_)
    sides = [_Answers.of(bundle, [*subjects, *photos.strangers.subjects], progress) for bundle in (old, new)]
    both = sides[0].usable & sides[1].usable
    count = len(subjects)
    units = independent_units(subjects, photos.cache).all if subjects else np.zeros(0, dtype=np.int64)
    parts = [np.flatnonzero(both[:count] & chosen) for chosen in (~is_fresh, is_fresh)]
    held, news = (_paired(subjects, units, sides, part) for part in parts)
    others = np.flatnonzero(both[count:]) + count
    labels = [[label.name for label in bundle.info.labels] for bundle in (old, new)]
    tests = [
        frozen_test(held, config),
        fresh_test(news, config),
        class_test(_paired(subjects, units, sides, np.sort(np.concatenate(parts))), config),
        unknown_test(held, config),
        stranger_test(sides[0].unknown[others], sides[1].unknown[others], config),
        calibration_test(held, config),
        label_test(labels[0], labels[1], config),
    ]
    if config.cost and subjects:
        tests.append(cost_test(old, new, [subject.file for subject in subjects], config))
    notes = [f"{left_out} photos are left out: one of the models has learned from them, or from copies"] * bool(
        left_out
    )
    changed = _changed(subjects, sides, np.flatnonzero(both[:count]))
    return GateResult(verdict=overall(tests), tests=tuple(tests), changed=changed, notes=tuple(notes))


def _subjects(manifest: Manifest, split: str) -> list[Subject]:
    return [Subject(row, manifest.file(row), NO_TARGET) for row in manifest.usable if row.split == split]


def _unseen(subjects: Sequence[Subject], bundles: Sequence[Bundle], cache: Path | None) -> tuple[list[Subject], int]:
    """The photos that no model has learned from, and how many others there are."""
    left = list(subjects)
    for bundle in bundles:
        marked, _ = mark_seen(left, TrainingReference.of(bundle), cache)
        left = [subject for subject in marked if not subject.seen]
    return left, len(subjects) - len(left)


@dataclass(frozen=True)
class _Answers:
    """What one model says of photos; arrays are ``[N]``.

    Attributes:
        usable: Photos that it could look at.
        said: Its labels.
        right: Whether they are right.
        unknown: Whether it calls them unknown.
        confidence: Calibrated probability of its label.
    """

    usable: NDArray[np.bool_]
    said: tuple[str, ...]
    right: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    confidence: NDArray[np.float64]

    @classmethod
    def of(cls, bundle: Bundle, subjects: Sequence[Subject], progress: Progress) -> _Answers:
        count, labels = len(subjects), bundle.info.labels
        outputs = compute_outputs(bundle, [subject.file for subject in subjects], progress=progress)
        decider = Postprocessor.of(bundle)
        probabilities = decider.probabilities(outputs.logits)
        _, refused = decider.detect_unknown(outputs.logits, outputs.embedding, probabilities)
        own = probabilities[:, : len(labels)]
        targets = match_labels(Manifest(tuple(subject.row for subject in subjects), Path()), bundle.info)
        wanted = np.array([targets.get(subject.row.label, NO_TARGET) for subject in subjects], dtype=np.int64)
        usable, right, unknown = (np.zeros(count, dtype=np.bool_) for _ in range(3))
        confidence = np.zeros(count)
        said = [""] * count
        places = outputs.positions
        if len(places):
            best = own.argmax(axis=1)
            usable[places], unknown[places] = True, refused
            right[places] = best == wanted[places]
            confidence[places] = own.max(axis=1)
            for place, index in zip(places.tolist(), best.tolist(), strict=True):
                said[place] = labels[index].name
        return cls(usable, tuple(said), right, unknown, confidence)


def _paired(
    subjects: Sequence[Subject], units: NDArray[np.int64], sides: Sequence[_Answers], places: NDArray[np.intp]
) -> PairedAnswers:
    old, new = sides
    return PairedAnswers(
        labels=[subjects[place].row.label for place in places.tolist()],
        units=units[places],
        right=(old.right[places], new.right[places]),
        unknown=(old.unknown[places], new.unknown[places]),
        confidence=(old.confidence[places], new.confidence[places]),
    )


def _changed(subjects: Sequence[Subject], sides: Sequence[_Answers], places: NDArray[np.intp]) -> tuple[Changed, ...]:
    old, new = sides
    found: Mapping[bool, list[Changed]] = {True: [], False: []}
    for place in places.tolist():
        if old.right[place] != new.right[place]:
            better, subject = bool(new.right[place]), subjects[place]
            found[better].append(
                Changed(str(subject.file), subject.row.label, old.said[place], new.said[place], better)
            )
    lost = found[False][: max(SHOWN // 2, SHOWN - len(found[True]))]
    return (*found[True][: SHOWN - len(lost)], *lost)
