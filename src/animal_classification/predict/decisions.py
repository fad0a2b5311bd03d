"""From what was found in the pictures of a burst to final answers: roll-up, species list, smoothing.

The answer before is always kept beside the final one: ``raw_answer`` and ``raw_probability``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from animal_classification.data.detections import BLANK
from animal_classification.field.smoothing import BurstAnimal, smooth_burst
from animal_classification.taxonomy.lineage import Lineage

if TYPE_CHECKING:
    from animal_classification.data.detections import Detection
    from animal_classification.predict.evidence import AnsweredVector, FileEvidence, StoredBox
    from animal_classification.taxonomy import AllowedLabels, Decision, Taxonomy


_NO_LINEAGE = Lineage()


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnswer:
    """What is said of a box, or of a file, and why.

    Attributes:
        answer: What people read.
        level: ``label``, ``group``, a rank, ``animal``, ``person``, ``vehicle``, ``blank``, ``unknown``, or empty.
        probability: Of the answer; ``None`` where nothing was answered.
        scientific_name: Of the finest taxon that holds the answer.
        lineage: Of that taxon.
        decision: The rule that did it.
        why: One line with the numbers.
        raw_answer: What was answered before lists and smoothing.
        raw_probability: Of that.
    """

    answer: str = ""
    level: str = ""
    probability: float | None = None
    scientific_name: str = ""
    lineage: Lineage = _NO_LINEAGE
    decision: str = "none"
    why: str = ""
    raw_answer: str = ""
    raw_probability: float | None = None


@dataclass(frozen=True, slots=True)
class DecidedBox:
    """A box with its final answer.

    Attributes:
        found: As it stands in the journal.
        final: Its answer.
        counts: Whether it reaches the threshold.
    """

    found: StoredBox
    final: FinalAnswer
    counts: bool


@dataclass(frozen=True, slots=True)
class DecidedPicture:
    """A picture with its final answers.

    Attributes:
        final: Of the picture.
        boxes: As in the journal.
        source: What the picture's label columns are of: its strongest animal, or all of it; ``None`` for nothing.
        blank: Nothing is in it.
    """

    final: FinalAnswer
    boxes: tuple[DecidedBox, ...]
    source: AnsweredVector | None
    blank: bool = False

    def count(self, category: str) -> int:
        """How many boxes of a category reach the threshold."""
        return sum(one.counts and one.found.detection.category == category for one in self.boxes)


@dataclass(frozen=True)
class Decider:
    """Decides for the pictures of one burst together.

    Attributes:
        taxonomy: Of the model.
        allowed: What may be answered; ``None`` for all.
        threshold: Confidence from which a box counts.
        smooth: Whether the pictures of a burst decide together.
        blank_if_unknown: Whether a picture that the model does not know is blank.
    """

    taxonomy: Taxonomy
    allowed: AllowedLabels | None
    threshold: float
    smooth: bool
    blank_if_unknown: bool

    def decide(self, burst: Sequence[FileEvidence]) -> list[DecidedPicture]:
        """The final answers, in the order of the pictures."""
        vectors = [vector for file in burst for vector in self._vectors(file)]
        decided = iter(self._finals(vectors))
        return [
            self._picture(file, {id(vector.answer): next(decided) for vector in self._vectors(file)}) for file in burst
        ]

    def _vectors(self, file: FileEvidence) -> list[_Weighted]:
        """All that is decided in a picture: animal boxes, then the whole picture."""
        boxes = [
            _Weighted(box.answer, box.detection.confidence, box.detection.confidence >= self.threshold)
            for box in file.boxes
            if box.answer is not None
        ]
        if file.whole is None or file.whole.unknown:
            return boxes
        return [*boxes, _Weighted(file.whole, 1.0, not self._any(file))]

    def _any(self, file: FileEvidence) -> bool:
        return any(box.detection.confidence >= self.threshold for box in file.boxes)

    def _finals(self, vectors: Sequence[_Weighted]) -> list[FinalAnswer]:
        if not vectors:
            return []
        plain = [self.taxonomy.decide(vector.answer.probabilities) for vector in vectors]
        kept = plain
        if self.allowed is not None:
            kept = [self.taxonomy.decide(vector.answer.probabilities, self.allowed) for vector in vectors]
        # What does not count has no say in what the burst is, and is left as it is.
        voting = [index for index, vector in enumerate(vectors) if vector.counts] if self.smooth else []
        burst = [BurstAnimal(vectors[i].answer.probabilities, vectors[i].weight, kept[i]) for i in voting]
        smoothed = dict(zip(voting, smooth_burst(burst, self.taxonomy, self.allowed), strict=True))
        finals = []
        for index, (raw, own) in enumerate(zip(plain, kept, strict=True)):
            better = smoothed.get(index)
            chosen, rule = (own, str(own.decision)) if better is None else (better.decision, "smoothed")
            finals.append(_final(chosen, rule, own.why if better is None else better.why, raw))
        return finals

    def _picture(self, file: FileEvidence, finals: dict[int, FinalAnswer]) -> DecidedPicture:
        boxes = tuple(self._box(box, finals) for box in file.boxes)
        animals = [one for one in boxes if one.counts and one.found.answer is not None]
        if animals:
            best = max(animals, key=_strength)
            return DecidedPicture(best.final, boxes, best.found.answer)
        if others := [one for one in boxes if one.counts]:
            return DecidedPicture(others[0].final, boxes, None)
        if file.size is None:
            return DecidedPicture(FinalAnswer(), boxes, None)
        if nothing := [one for one in boxes if one.found.detection.confidence >= self.threshold]:
            return DecidedPicture(_blank(nothing[0].final), boxes, nothing[0].found.answer, blank=True)
        return self._without_boxes(file, boxes, finals)

    def _box(self, box: StoredBox, finals: dict[int, FinalAnswer]) -> DecidedBox:
        """A box counts at the threshold, unless the model was taught blank pictures and sees one in it."""
        final = finals[id(box.answer)] if box.answer is not None else _of_detector(box.detection)
        return DecidedBox(box, final, box.detection.confidence >= self.threshold and final.answer != BLANK)

    def _without_boxes(
        self, file: FileEvidence, boxes: tuple[DecidedBox, ...], finals: dict[int, FinalAnswer]
    ) -> DecidedPicture:
        whole = file.whole
        if whole is None:
            why = f"no box reaches {self.threshold:g}, and the run did not name the whole picture: run again"
            return DecidedPicture(FinalAnswer(why=why), boxes, None)
        if whole.unknown:
            return DecidedPicture(self._unknown(file, whole), boxes, whole, self.blank_if_unknown)
        final = finals[id(whole)]
        if file.searched and not final.decision.startswith(("list_", "smoothed")):
            why = f"no box reaches {self.threshold:g}; whole picture: {final.why}"
            final = replace(final, decision="whole_picture", why=why)
        if final.answer == BLANK:
            return DecidedPicture(_blank(final), boxes, whole, blank=True)
        return DecidedPicture(final, boxes, whole)

    def _unknown(self, file: FileEvidence, whole: AnsweredVector) -> FinalAnswer:
        probability = whole.row["answer_probability"]
        why = f"{whole.row['answer']} {probability:.2f}"
        if not file.searched:
            return FinalAnswer(
                answer=whole.row["answer"],
                level="unknown",
                probability=probability,
                decision="none",
                why=why,
                raw_answer=whole.row["answer"],
                raw_probability=probability,
            )
        return FinalAnswer(
            answer="blank",
            level="blank",
            probability=probability,
            decision="blank",
            why=f"no box reaches {self.threshold:g}; whole picture: {why}",
            raw_answer=whole.row["answer"],
            raw_probability=probability,
        )


@dataclass(frozen=True, slots=True)
class _Weighted:
    """A vector that is decided on, with its weight in the burst."""

    answer: AnsweredVector
    weight: float
    counts: bool


def _strength(box: DecidedBox) -> tuple[bool, float]:
    """Which animal speaks for a picture; what the classifier takes for none of its labels comes after all others."""
    known = box.found.answer is not None and not box.found.answer.unknown
    return known, box.found.detection.confidence * (box.final.probability or 0.0)


def _final(decision: Decision, rule: str, why: str, raw: Decision) -> FinalAnswer:
    return FinalAnswer(
        answer=decision.answer,
        level=decision.level,
        probability=decision.probability,
        scientific_name=decision.scientific_name,
        lineage=decision.lineage,
        decision=rule,
        why=why,
        raw_answer=raw.answer,
        raw_probability=raw.probability,
    )


def _blank(final: FinalAnswer) -> FinalAnswer:
    return replace(final, level="blank", decision="blank")


def _of_detector(detection: Detection) -> FinalAnswer:
    return FinalAnswer(
        answer=detection.category,
        level=detection.category,
        probability=detection.confidence,
        decision="detector",
        why=f"{detection.category} {detection.confidence:.2f}",
        raw_answer=detection.category,
        raw_probability=detection.confidence,
    )
