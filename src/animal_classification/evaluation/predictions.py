"""A model's predictions for all photos: arrays to measure, rows to read, and the photos most worth a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.eval_set import NO_TARGET, Subject
from animal_classification.evaluation.result import NotablePhotos, PhotoRow, RankedLabel
from animal_classification.inference.ood import unit_length
from animal_classification.inference.postprocess import answered_right

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.evaluation.model_outputs import Outputs
    from animal_classification.inference.postprocess import Postprocessor
    from animal_classification.inference.results import Prediction

TOP = 5
DIGITS = 6
SHOWN = 12
TYPICAL = 4


@dataclass(frozen=True)
class PredictedPhotos:
    """Decisions, by the rules that predictions follow; arrays about scored photos are ``[N]``, in their order.

    Attributes:
        predictions: For every readable photo, in the order of the outputs.
        scored_positions: Photos with a label that the model knows, as positions among all subjects.
        targets: Their classes.
        logits: ``[N, C + B]``, of labels and then of background classes, not divided by the temperature.
        probabilities: ``[N, C]``, calibrated; where there are background classes, of labels only, not summing to one.
        answered: Whether a person who is given the answer is told what the photo shows.
        brightness: Mean of the crop.
        known_scores: How sure it is that they are of the classes.
        refused: Whether they count as unknown.
        other_logits: Logits, of labels, of unknown photos, ``[M, C]``.
        other_scores: How sure it is that these are of the classes, ``[M]``.
        other_refused: Whether these count as unknown.
    """

    predictions: tuple[Prediction, ...]
    scored_positions: tuple[int, ...]
    targets: NDArray[np.int64]
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    answered: NDArray[np.bool_]
    brightness: NDArray[np.float64]
    known_scores: NDArray[np.float64]
    refused: NDArray[np.bool_]
    other_logits: NDArray[np.float32]
    other_scores: NDArray[np.float64]
    other_refused: NDArray[np.bool_]

    @classmethod
    def of(
        cls, info: BundleInfo, postprocessor: Postprocessor, outputs: Outputs, targets: Sequence[int]
    ) -> PredictedPhotos:
        """Decide about all outputs; ``targets`` are those of all subjects."""
        wanted = np.asarray(targets, dtype=np.int64)[outputs.positions]
        known = wanted != NO_TARGET
        probabilities = postprocessor.probabilities(outputs.logits)
        scores, refused = postprocessor.detect_unknown(outputs.logits, outputs.embedding, probabilities)
        labels = info.labels
        predictions = postprocessor.decide(outputs.logits, top_k=TOP, embeddings=outputs.embedding, attach=False)
        pairs = zip(predictions, wanted.tolist(), strict=True)
        answered = [answered_right(said, labels[target]) for said, target in pairs if target != NO_TARGET]
        return cls(
            predictions=tuple(predictions),
            scored_positions=tuple(outputs.positions[known].tolist()),
            targets=wanted[known],
            logits=outputs.logits[known],
            probabilities=probabilities[known, : len(labels)],
            answered=np.array(answered, dtype=np.bool_),
            brightness=outputs.brightness[known],
            known_scores=scores[known],
            refused=refused[known],
            other_logits=outputs.logits[~known, : len(labels)],
            other_scores=scores[~known],
            other_refused=refused[~known],
        )

    @property
    def answers(self) -> NDArray[np.intp]:
        """Most probable classes of the scored photos."""
        result: NDArray[np.intp] = self.probabilities.argmax(axis=1)
        return result


def photo_rows(
    subjects: Sequence[Subject], outputs: Outputs, predicted: PredictedPhotos, info: BundleInfo
) -> list[PhotoRow]:
    """A row for every photo, usable or not."""
    place = {position: row for row, position in enumerate(outputs.positions.tolist())}
    own = dict(
        zip(
            predicted.scored_positions,
            predicted.probabilities[np.arange(len(predicted.targets)), predicted.targets].tolist(),
            strict=True,
        )
    )
    told = dict(zip(predicted.scored_positions, predicted.answered.tolist(), strict=True))
    rows = []
    for index, subject in enumerate(subjects):
        row = _facts(subject, info, outputs.errors.get(index))
        if row.error is None:
            at = place[index]
            brightness = round(float(outputs.brightness[at]), 1)
            row = _answered(row, predicted.predictions[at], own.get(index), brightness)
            if row.known:
                row = row.model_copy(update={"answered_right": told[index]})
        rows.append(row)
    return rows


def _facts(subject: Subject, info: BundleInfo, error: str | None) -> PhotoRow:
    known = subject.target != NO_TARGET
    row = subject.row
    return PhotoRow(
        path=row.path,
        sha256=row.sha256,
        truth=info.labels[subject.target].name if known else row.label,
        known=known,
        group=row.group,
        width=row.width,
        height=row.height,
        error=row.problem or error,
        seen=subject.seen,
    )


def _answered(row: PhotoRow, said: Prediction, p_truth: float | None, brightness: float) -> PhotoRow:
    return row.model_copy(
        update={
            "answer": said.label,
            "probability": round(said.probability, DIGITS),
            "correct": said.label == row.truth if row.known else None,
            "p_truth": None if p_truth is None else round(p_truth, DIGITS),
            "top": [RankedLabel(label=one.label, probability=round(one.probability, DIGITS)) for one in said.top],
            "set": list(said.set),
            "unknown": said.unknown,
            "known_score": round(said.known_score, DIGITS),
            "brightness": brightness,
        }
    )


def find_notable_photos(
    rows: Sequence[PhotoRow], positions: NDArray[np.integer], embedding: NDArray[np.floating]
) -> NotablePhotos:
    """The worst mistakes, the least certain answers, and the most typical photos of each class.

    Args:
        rows: All photos.
        positions: Which of them have an embedding.
        embedding: Theirs, ``[len(positions), D]``.
    """
    vectors = dict(zip(positions.tolist(), unit_length(embedding), strict=True))
    known = [index for index, row in enumerate(rows) if row.correct is not None]
    wrong = [index for index in known if not rows[index].correct]
    others = [index for index, row in enumerate(rows) if row.answer is not None and not row.known]
    return NotablePhotos(
        confident_mistakes=sorted(wrong, key=lambda i: (-(rows[i].probability or 0), i))[:SHOWN],
        uncertain=sorted(known, key=lambda i: (rows[i].probability or 0, i))[:SHOWN],
        typical=_typical(rows, [index for index in known if rows[index].correct], vectors),
        unknown_accepted=_by_score(rows, [index for index in others if not rows[index].unknown], -1),
        known_refused=_by_score(rows, [index for index in known if rows[index].unknown], 1),
    )


def _by_score(rows: Sequence[PhotoRow], chosen: Sequence[int], sign: int) -> list[int]:
    return sorted(chosen, key=lambda i: (sign * (rows[i].known_score or 0), i))[:SHOWN]


def _typical(
    rows: Sequence[PhotoRow], right: Sequence[int], vectors: dict[int, NDArray[np.float32]]
) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for index in right:
        members.setdefault(rows[index].truth, []).append(index)
    found = {}
    for name, own in sorted(members.items()):
        here = np.stack([vectors[index] for index in own])
        similarity = here @ here.mean(axis=0)
        found[name] = [own[place] for place in np.argsort(-similarity, kind="stable")[:TYPICAL]]
    return found
