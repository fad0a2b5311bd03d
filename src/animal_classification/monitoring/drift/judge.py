"""The judge: a window of photos against a reference, by four tests, each at a quarter of ``alpha``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from animal_classification.errors import UsageError
from animal_classification.imaging.statistics import NAMES
from animal_classification.monitoring.drift.accuracy_estimate import USUAL_WEIGHTS, AccuracyModel, LearnedWeights
from animal_classification.monitoring.drift.kind import Evidence, KindOfDrift, SourceShifts, kind_of, largest_shift
from animal_classification.monitoring.drift.reference import NO_LABEL, DriftReference
from animal_classification.monitoring.drift.two_sample_tests import (
    Relabellings,
    kolmogorov_smirnov,
    largest_mean_difference,
    lower_tail,
    mmd,
    permuted_chi_squared,
)
from animal_classification.monitoring.drift.verdict import DriftTests, EstimatedAccuracy, Verdict

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.monitoring.drift.sample import DriftWindow, PhotoSample

ALPHA = 0.01
# Fewer photos than these, after thinning, are not judged.
FEWEST_IN_WINDOW = 50
WINDOW = 200
_TESTS = 4
_FEWEST_WITH_STATS = 20
_FEWEST_OF_SOURCE = 10
_LABELS_SHOWN = 5


class NoReferenceError(UsageError):
    """The model brings no reference for drift, and no baseline was accepted."""


class TooFewPhotosError(UsageError):
    """A window is too small; ``left`` says how many photos were left of how many ``read``."""

    def __init__(self, left: int, read: int) -> None:
        self.left = left
        self.read = read
        super().__init__(
            f"{left} photos are left of {read} (bursts and copies count once), and it takes {FEWEST_IN_WINDOW} to "
            "judge drift; wait for more, or look further back"
        )


@dataclass(frozen=True, kw_only=True)
class DriftJudge:
    """Judges windows of one model; keep it, because the reference is prepared once.

    Attributes:
        reference: What windows are compared with.
        labels: Names of the model's labels.
        model: The model's name.
        version: Its version.
        measured: Photos with true labels, from which accuracy is estimated; ``None`` where there are none.
        learned: Weights of the learned estimate of accuracy.
        alpha: How many of clean windows may raise an alarm.
    """

    reference: DriftReference
    labels: tuple[str, ...]
    model: str
    version: str
    measured: DriftReference | None = None
    learned: LearnedWeights = USUAL_WEIGHTS
    alpha: float = ALPHA

    @classmethod
    def of(cls, bundle: Bundle, baseline: DriftReference | None = None) -> DriftJudge:
        """With a bundle's own reference, or against an accepted baseline.

        Raises:
            NoReferenceError: There is neither.
            BundleError: The bundle's reference is damaged.
        """
        info, own = bundle.info, DriftReference.of(bundle)
        reference = baseline or own
        if reference is None:
            raise NoReferenceError(
                f"{info.name} has no reference for drift (too few photos were kept apart when it was trained, or an "
                "older version made it): add one with animals monitor reference, or accept a baseline"
            )
        return cls(
            reference=reference,
            labels=tuple(label.name for label in info.labels),
            model=info.name,
            version=info.version,
            measured=own if own is not None and (own.label != NO_LABEL).any() else None,
            learned=LearnedWeights.of(info.metrics) or USUAL_WEIGHTS,
        )

    def judge(
        self, window: DriftWindow, *, size: int = WINDOW, source: str = "", fired_before: Collection[str] = ()
    ) -> Verdict:
        """Compare a window with the reference. About 0.2 s of one processor for 200 photos against 350.

        Args:
            window: Photos as they came: thinning and cutting are done here.
            size: The newest so many photos are taken, and no more than the reference has.
            source: What the window was restricted to; only told.
            fired_before: ``fired`` of the verdict on the window before.

        Raises:
            TooFewPhotosError: Fewer than 50 are left.
        """
        used = self.prepared(window, size)
        if len(used) < FEWEST_IN_WINDOW:
            raise TooFewPhotosError(len(used), window.read)
        generator = np.random.default_rng(used.seed(self.reference.sha256))
        with threadpool_limits(1, user_api="blas"):
            evidence = self._evidence(used, generator)
            found = kind_of(evidence)
            accuracy = self._accuracy(used.sample, found)
        timed = bool(used.time.any())
        return Verdict(
            model=self.model,
            version=self.version,
            source=source,
            since=float(used.time.min()) if timed else None,
            until=float(used.time.max()) if timed else None,
            read=window.read,
            used=len(used),
            reference_kind=self.reference.kind,
            reference_photos=len(self.reference),
            reference_sha256=self.reference.sha256,
            kind=found.kind,
            part=found.part,
            part_source=found.source,
            says=found.says,
            fired=evidence.fired,
            confirmed=bool(evidence.fired & set(fired_before)),
            tests=evidence.tests,
            accuracy=accuracy,
        )

    def judge_in_turn(self, windows: Iterable[DriftWindow], *, size: int = WINDOW, source: str = "") -> list[Verdict]:
        """Verdicts on windows that follow each other in time, each knowing the one before.

        Raises:
            TooFewPhotosError: One has fewer than 50 photos.
        """
        verdicts: list[Verdict] = []
        for window in windows:
            before = verdicts[-1].fired if verdicts else frozenset()
            verdicts.append(self.judge(window, size=size, source=source, fired_before=before))
        return verdicts

    def prepared(self, window: DriftWindow, size: int = WINDOW) -> DriftWindow:
        """The photos of a window that are judged: scenes once, the newest, no more than the reference has."""
        return window.thinned().newest(min(size, len(self.reference)))

    def _evidence(self, window: DriftWindow, generator: np.random.Generator) -> Evidence:
        pair = _Pair(window.sample, self.reference, generator)
        known = _Pair(window.sample.take(~pair.strangers), self.reference, generator, kept=~pair.reference_strangers)
        tests = pair.tests(self.labels)
        return Evidence(
            fired=frozenset(name for name, p in tests.p.items() if p <= self.alpha / _TESTS),
            tests=tests,
            image_of_known=known.numbers_p,
            look_of_known=known.look[1],
            look_left=known.look[0] / max(pair.look[0], 1e-9),
            shifts_by_source=pair.shifts_by_source(window.source),
            strangers=pair.strangers,
            shifts=pair.shifts,
            strangers_shifts=pair.strangers_shifts,
            sources=window.source,
            alpha=self.alpha / _TESTS,
        )

    @cached_property
    def _estimates(self) -> AccuracyModel | None:
        return None if self.measured is None else AccuracyModel(self.measured, self.learned)

    def _accuracy(self, sample: PhotoSample, found: KindOfDrift) -> EstimatedAccuracy | None:
        return None if self._estimates is None else self._estimates.estimate(sample, strangers=found.strangers)


class _Pair:
    """A window beside a reference, or a part of it."""

    def __init__(
        self,
        window: PhotoSample,
        reference: DriftReference,
        generator: np.random.Generator,
        *,
        kept: NDArray[np.bool_] | None = None,
    ) -> None:
        self._window = window
        self._whole = reference
        self._reference = reference.sample if kept is None else reference.sample.take(kept)
        self._generator = generator
        self.strangers = window.known < reference.threshold
        self.reference_strangers = self._reference.known < reference.threshold

    def tests(self, labels: Sequence[str]) -> DriftTests:
        """The four tests."""
        look_effect, look_p = self.look[0], self.look[1]
        name, shift = largest_shift(self.shifts)
        window, reference = self.strangers, self.reference_strangers
        changes, variation = self._mix(labels)
        return DriftTests(
            look_p=look_p,
            look_effect=look_effect,
            image_p=self._image_p(),
            image_largest=name,
            image_shift=shift,
            content_p=lower_tail(self._window.known, self._reference.known, self._generator),
            content_share=float(window.mean()),
            content_reference=float(reference.mean()),
            mix_p=permuted_chi_squared(self._window.pred, self._reference.pred, self._generator),
            mix_effect=variation,
            mix_changes=changes,
        )

    @cached_property
    def look(self) -> tuple[float, float]:
        """Effect and p of the embeddings, within predicted classes."""
        if not len(self._window) or not len(self._reference):
            return 0.0, 1.0
        embedding = np.concatenate([self._window.embedding, self._reference.embedding])
        return mmd(embedding, self._relabellings(np.ones(len(embedding), np.bool_)))

    @property
    def numbers_p(self) -> float:
        """P of the twelve numbers and of how far they are from usual, less the means of predicted classes."""
        stats = np.concatenate([self._window.stats, self._reference.stats]).astype(np.float64)
        there = _complete(stats)
        if there[: len(self._window)].sum() < _FEWEST_WITH_STATS:
            return 1.0
        scaled = stats[there] / self._whole.deviations
        _, classes = np.unique(self._pred[there], return_inverse=True)
        sums = np.zeros((classes.max() + 1, scaled.shape[1]))
        np.add.at(sums, classes, scaled)
        left = scaled - (sums / np.bincount(classes)[:, None])[classes]
        return largest_mean_difference(np.concatenate([left, np.abs(left)], axis=1), self._relabellings(there))

    @property
    def strangers_shifts(self) -> NDArray[np.float64]:
        """How far the medians of the window's strangers are from the reference's, ``[12]``, in deviations."""
        stats, reference = _with_stats(self._window.take(self.strangers)), _with_stats(self._reference)
        if not len(stats) or not len(reference):
            return np.zeros(len(NAMES))
        medians: NDArray[np.float64] = np.median(stats, axis=0) - np.median(reference, axis=0)
        return medians / self._whole.deviations

    @property
    def _pred(self) -> NDArray[np.int64]:
        return np.concatenate([self._window.pred, self._reference.pred])

    def _relabellings(self, there: NDArray[np.bool_]) -> Relabellings:
        window = np.arange(len(there)) < len(self._window)
        return Relabellings.within(window[there], self._pred[there], self._generator)

    def _image_p(self) -> float:
        window, reference = _with_stats(self._window), _with_stats(self._reference)
        if len(window) < _FEWEST_WITH_STATS or not len(reference):
            return 1.0
        columns = range(window.shape[1])
        smallest = min(kolmogorov_smirnov(window[:, one], reference[:, one])[1] for one in columns)
        return float(min(1.0, window.shape[1] * smallest))

    @cached_property
    def shifts(self) -> NDArray[np.float64]:
        """How far the means are from the reference's, ``[12]``, in deviations of the whole reference."""
        return self._shifts_of(np.ones(len(self._window), np.bool_))

    def shifts_by_source(self, sources: Sequence[str]) -> dict[str, SourceShifts]:
        """The same for each source with ten photos or more, and for the photos from elsewhere."""
        counts = Counter(sources)
        large = [source for source, count in counts.items() if _FEWEST_OF_SOURCE <= count < len(sources)]
        there = {source: np.array([one == source for one in sources]) for source in large}
        return {
            source: SourceShifts(counts[source] / len(sources), self._shifts_of(own), self._shifts_of(~own))
            for source, own in there.items()
        }

    def _shifts_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        window, reference = _with_stats(self._window.take(chosen)), _with_stats(self._reference)
        if not len(window) or not len(reference):
            return np.zeros(len(NAMES))
        means: NDArray[np.float64] = window.mean(axis=0) - reference.mean(axis=0)
        return means / self._whole.deviations

    def _mix(self, labels: Sequence[str]) -> tuple[tuple[tuple[str, float, float], ...], float]:
        """The labels whose share changed most, with both shares, and the total variation."""
        count = max(len(labels), int(self._pred.max()) + 1)
        now, was = (
            np.bincount(one.pred[one.pred >= 0], minlength=count) / max(1, len(one))
            for one in (self._window, self._reference)
        )
        order = np.argsort(-np.abs(now - was), kind="stable")[:_LABELS_SHOWN].tolist()
        named = [(labels[i] if i < len(labels) else "?", float(was[i]), float(now[i])) for i in order]
        return tuple(one for one in named if one[1] != one[2]), float(np.abs(now - was).sum() / 2)


def _with_stats(sample: PhotoSample) -> NDArray[np.float64]:
    """The twelve numbers of the photos that have them."""
    values = sample.stats.astype(np.float64)
    kept: NDArray[np.float64] = values[_complete(values)]
    return kept


def _complete(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows without NaN."""
    result: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(values), axis=1)
    return result
