"""From logits to answers: calibrated probabilities, groups, unknown, and the level to answer at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animal_classification.inference.results import Answer, Candidate, Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from animal_classification.bundle.schema import BundleInfo

KNOWN_NAME = "animal"
UNKNOWN_NAME = "not an animal"


class Decider:
    """Turns a batch of logits into predictions, by the rules that the bundle states."""

    def __init__(self, info: BundleInfo) -> None:
        self._labels = info.labels
        self._background = info.background
        self._temperature = info.calibration.temperature
        self._unknown = info.unknown
        self._rollup = info.rollup.threshold if info.rollup else None
        self._levels = _group_levels([label.groups for label in info.labels])

    def decide(
        self, logits: NDArray[np.float32], *, top_k: int, embeddings: NDArray[np.float32] | None = None
    ) -> list[Prediction]:
        """Return a prediction per row of ``logits`` ``[N, C]``, with its row of ``embeddings`` ``[N, D]`` if given."""
        probabilities = softmax(logits / self._temperature)
        labels = probabilities[:, : len(self._labels)]
        order = np.argsort(-labels, axis=1, kind="stable")[:, : max(1, top_k)]
        groups = [(names, labels @ members) for names, members in self._levels]
        return [
            self._one(
                probabilities[row],
                order[row],
                [(names, sums[row]) for names, sums in groups],
                None if embeddings is None else embeddings[row],
            )
            for row in range(len(logits))
        ]

    def _one(
        self,
        probabilities: NDArray[np.float64],
        order: NDArray[np.intp],
        groups: Sequence[tuple[list[str], NDArray[np.float64]]],
        embedding: NDArray[np.float32] | None,
    ) -> Prediction:
        best = [(names[int(sums.argmax())], _unit(sums.max())) for names, sums in groups]
        top = tuple(Candidate(self._labels[i].name, self._labels[i].id, _unit(probabilities[i])) for i in order)
        score = self._known_score(probabilities)
        unknown = self._unknown is not None and score < self._unknown.threshold
        group, group_probability = best[0] if best else (None, None)
        return Prediction(
            label=top[0].label,
            label_id=top[0].label_id,
            probability=top[0].probability,
            group=group,
            group_probability=group_probability,
            unknown=unknown,
            known_score=score,
            set=(),
            top=top,
            answer=self._answer(top[0], best, score, unknown),
            background=self._likely_background(probabilities) if unknown else None,
            embedding=embedding,
        )

    def _known_score(self, probabilities: NDArray[np.float64]) -> float:
        labels = probabilities[: len(self._labels)]
        if self._unknown is not None and self._unknown.method == "max_probability":
            return _unit(labels.max())
        return _unit(labels.sum())

    def _answer(self, top: Candidate, groups: Sequence[tuple[str, float]], score: float, unknown: bool) -> Answer:
        if unknown:
            return Answer(UNKNOWN_NAME, "unknown", 1.0 - score)
        if self._rollup is None or top.probability >= self._rollup:
            return Answer(top.label, "label", top.probability)
        for name, probability in reversed(groups):
            if probability >= self._rollup:
                return Answer(name, "group", probability)
        return Answer(KNOWN_NAME, "known", score)

    def _likely_background(self, probabilities: NDArray[np.float64]) -> str | None:
        if not self._background:
            return None
        return self._background[int(probabilities[len(self._labels) :].argmax())].name


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Softmax over the last axis, in double precision so that sums over many classes stay exact."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    result: NDArray[np.float64] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result


def _unit(value: np.floating | float) -> float:
    return min(1.0, max(0.0, float(value)))


def _group_levels(groups: Sequence[tuple[str, ...]]) -> list[tuple[list[str], NDArray[np.float64]]]:
    """For each level, coarsest first: the group names and a 0/1 matrix ``[labels, groups]``.

    A label with fewer levels than others stands in its own finest group on the missing ones.
    """
    depth = max((len(path) for path in groups), default=0)
    levels = []
    for level in range(depth):
        names = sorted({path[min(level, len(path) - 1)] for path in groups if path})
        column = {name: index for index, name in enumerate(names)}
        members = np.zeros((len(groups), len(names)))
        for row, path in enumerate(groups):
            if path:
                members[row, column[path[min(level, len(path) - 1)]]] = 1.0
        levels.append((names, members))
    return levels
