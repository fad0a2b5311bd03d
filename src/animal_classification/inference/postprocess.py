"""From logits to answers: calibrated probabilities, groups, unknown, prediction sets, and the level to answer at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from animal_classification.common.softmax import softmax
from animal_classification.inference.linalg import product
from animal_classification.inference.ood import FeatureDistance, known_scores, squashed
from animal_classification.inference.prediction_sets import masses, set_sizes
from animal_classification.inference.reference import distance_from, read_arrays
from animal_classification.inference.results import Answer, Candidate, Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from animal_classification.bundle.model import Bundle
    from animal_classification.bundle.schema import BundleInfo, Label, Unknown

KNOWN_NAME = "animal"
UNKNOWN_NAME = "not an animal"
# What a model can say that has seen its classes and nothing else: it may well be an animal.
UNFAMILIAR_NAME = "unknown"


class Postprocessor:
    """Turns a batch of logits into predictions, by the rules that the bundle states.

    Args:
        info: The rules.
        distance: What ``unknown.method`` ``energy_mahalanobis`` needs; without it, photos judged by that method are
            refused.
    """

    def __init__(self, info: BundleInfo, distance: FeatureDistance | None = None) -> None:
        self._labels = info.labels
        self._background = info.background
        self._temperature = info.calibration.temperature
        self._unknown = info.unknown
        self._unknown_name = unknown_name(info)
        self._conformal = info.conformal
        self._distance = distance
        self._rollup = info.rollup.threshold if info.rollup else None
        self._levels = _group_levels([label.groups for label in info.labels])

    @classmethod
    def of(cls, bundle: Bundle) -> Postprocessor:
        """With all that the bundle's rules need.

        Raises:
            BundleInvalidError: Its ``reference.npz`` lacks something.
        """
        unknown = bundle.info.unknown
        if unknown is None or unknown.method != "energy_mahalanobis":
            return cls(bundle.info)
        return cls(bundle.info, distance_from(read_arrays(bundle), str(bundle.path)))

    @classmethod
    def from_arrays(cls, info: BundleInfo, reference: Mapping[str, NDArray[Any]]) -> Postprocessor:
        """Of a bundle that is not written yet, with what will be its ``reference.npz``.

        Raises:
            BundleInvalidError: That lacks something.
        """
        if info.unknown is None or info.unknown.method != "energy_mahalanobis":
            return cls(info)
        return cls(info, distance_from(reference, info.name))

    def decide(
        self,
        logits: NDArray[np.float32],
        *,
        top_k: int,
        embeddings: NDArray[np.float32] | None = None,
        attach: bool = True,
        probabilities: bool = False,
    ) -> list[Prediction]:
        """Return a prediction per row.

        Args:
            logits: ``[N, C]``.
            top_k: How many of the most probable labels a prediction names.
            embeddings: ``[N, D]``; needed where the bundle judges unknown photos by distance.
            attach: Give each prediction its row of ``embeddings``.
            probabilities: Give each prediction its probabilities of all classes.
        """
        every = self.probabilities(logits)
        labels = every[:, : len(self._labels)]
        order = np.argsort(-labels, axis=1, kind="stable")[:, : max(1, top_k)]
        groups = [(names, product(labels, members)) for names, members in self._levels]
        scores, unknown = self.detect_unknown(logits, embeddings, every)
        sets = self._sets(labels)
        decided = [
            self._one(
                every[row],
                order[row],
                [(names, sums[row]) for names, sums in groups],
                known=(float(scores[row]), bool(unknown[row])),
                members=sets[row],
                embedding=None if embeddings is None or not attach else embeddings[row],
            )
            for row in range(len(logits))
        ]
        if not probabilities:
            return decided
        return [replace(one, probabilities=row.astype(np.float32)) for one, row in zip(decided, every, strict=True)]

    @property
    def temperature(self) -> float:
        """What logits are divided by."""
        return self._temperature

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated, ``[N, C]``, over labels and background classes."""
        return softmax(logits / self._temperature)

    def familiarity(self, logits: NDArray[np.float32], embeddings: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """How much each row looks like one of the labels, for choosing among crops of one photo: ``[N]``.

        What ``unknown`` is decided on; the probability of the first label where nothing is.
        """
        probabilities = self.probabilities(logits)
        if self._unknown is None and not self._background:
            likeliest: NDArray[np.float64] = probabilities[:, : len(self._labels)].max(axis=1)
            return likeliest
        if self._unknown is not None and self._unknown.method in ("energy", "energy_mahalanobis"):
            return self._raw_scores(self._unknown, logits, embeddings)
        return self.detect_unknown(logits, embeddings, probabilities)[0]

    def detect_unknown(
        self,
        logits: NDArray[np.float32],
        embeddings: NDArray[np.float32] | None,
        probabilities: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """How certain it is that each photo is one of the labels, in [0, 1], and whether it counts as unknown."""
        rule = self._unknown
        labels = probabilities[:, : len(self._labels)]
        if rule is None or rule.method == "background":
            scores = np.clip(labels.sum(axis=1), 0.0, 1.0)
        elif rule.method == "max_probability":
            scores = np.clip(labels.max(axis=1), 0.0, 1.0)
        else:
            raw = self._raw_scores(rule, logits, embeddings)
            return squashed(raw, rule.threshold), raw < rule.threshold
        return scores, np.zeros(len(scores), np.bool_) if rule is None else scores < rule.threshold

    def _raw_scores(
        self, rule: Unknown, logits: NDArray[np.float32], embeddings: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        distance = None
        if rule.method == "energy_mahalanobis":
            if self._distance is None or embeddings is None:
                raise ValueError("unknown photos are judged by distance here: give the distance and embeddings")
            distance = self._distance.score(embeddings)
        return known_scores(rule, logits[:, : len(self._labels)] / self._temperature, distance)

    def _sets(self, labels: NDArray[np.float64]) -> list[NDArray[np.intp]]:
        if self._conformal is None:
            return [np.empty(0, np.intp)] * len(labels)
        order, mass = masses(labels / labels.sum(axis=1, keepdims=True), self._conformal)
        sizes = set_sizes(mass, self._conformal.quantile)
        return [order[row, : sizes[row]] for row in range(len(labels))]

    def _one(
        self,
        probabilities: NDArray[np.float64],
        order: NDArray[np.intp],
        groups: Sequence[tuple[list[str], NDArray[np.float64]]],
        *,
        known: tuple[float, bool],
        members: NDArray[np.intp],
        embedding: NDArray[np.float32] | None,
    ) -> Prediction:
        best = [(names[int(sums.argmax())], _unit(sums.max())) for names, sums in groups]
        top = tuple(Candidate(self._labels[i].name, self._labels[i].id, _unit(probabilities[i])) for i in order)
        score, unknown = known
        group, group_probability = best[0] if best else (None, None)
        background, share = self._likely_background(probabilities) if unknown else (None, 0.0)
        return Prediction(
            label=top[0].label,
            label_id=top[0].label_id,
            probability=top[0].probability,
            group=group,
            group_probability=group_probability,
            unknown=unknown,
            known_score=score,
            set=tuple(self._labels[i].name for i in members),
            top=top,
            answer=self._answer(top[0], best, score, unknown),
            background=background,
            background_probability=share,
            embedding=embedding,
        )

    def _answer(self, top: Candidate, groups: Sequence[tuple[str, float]], score: float, unknown: bool) -> Answer:
        if unknown:
            return Answer(self._unknown_name, "unknown", 1.0 - score)
        if self._rollup is None or top.probability >= self._rollup:
            return Answer(top.label, "label", top.probability)
        for name, probability in reversed(groups):
            if probability >= self._rollup:
                return Answer(name, "group", probability)
        return Answer(KNOWN_NAME, "known", score)

    def _likely_background(self, probabilities: NDArray[np.float64]) -> tuple[str | None, float]:
        """The most probable background class, and how probable it is."""
        if not self._background:
            return None, 0.0
        shares = probabilities[len(self._labels) :]
        return self._background[int(shares.argmax())].name, float(shares.max())


def answered_right(said: Prediction, truth: Label) -> bool:
    """Whether a person who is given ``said.answer`` is told what the photo shows.

    The right label is right, and so is one of its groups where the model answers with a group. "unknown" and "animal"
    name nothing, so they are not right, however right the label below them is.
    """
    if said.answer.level == "label":
        return said.label_id == truth.id
    return said.answer.level == "group" and said.answer.name in truth.groups


def unknown_name(info: BundleInfo) -> str:
    """What a photo is called that is none of the labels."""
    judged_by_classes = info.unknown is not None and info.unknown.method in ("energy", "energy_mahalanobis")
    return UNFAMILIAR_NAME if judged_by_classes else UNKNOWN_NAME


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
