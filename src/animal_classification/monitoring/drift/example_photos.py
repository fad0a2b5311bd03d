"""Which photos show best what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.imaging.statistics import NAMES

if TYPE_CHECKING:
    from animal_classification.monitoring.drift.reference import DriftReference
    from animal_classification.monitoring.drift.sample import DriftWindow, PhotoSample
    from animal_classification.monitoring.drift.verdict import Verdict


@dataclass(frozen=True)
class ExamplePhotos:
    """Positions of photos: ``before`` in the reference, ``after`` in the window."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]


def examples_of(verdict: Verdict, window: DriftWindow, reference: DriftReference, count: int) -> ExamplePhotos:
    """At most ``count`` photos of each: usual ones from before, and those of now that differ most.

    Args:
        verdict: On the window.
        window: The photos that were judged.
        reference: What they were compared with.
        count: How many of each.
    """
    then, now = _strangeness(verdict, window.sample, reference)
    # Among equals by lot: photos lie in the order of their classes.
    usual = np.lexsort((reference.sha, np.abs(then - np.median(then))))
    strange = np.argsort(-now, kind="stable")
    return ExamplePhotos(usual[:count], strange[:count])


def _strangeness(
    verdict: Verdict, window: PhotoSample, reference: DriftReference
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each photo of the reference and of the window, how much it shows what the verdict says."""
    sample, tests = reference.sample, verdict.tests
    if verdict.kind == "image" and verdict.part is None and tests.image_largest in NAMES:
        column, sign = NAMES.index(tests.image_largest), np.sign(tests.image_shift)
        return _signed(sample, column, sign), _signed(window, column, sign)
    if verdict.kind in ("content", "image"):
        return -sample.known, -window.known
    if verdict.kind == "mix":
        grown = np.bincount(window.pred + 1) / len(window)
        before = np.bincount(sample.pred + 1, minlength=len(grown))[: len(grown)] / len(sample)
        label = int((grown - before).argmax()) - 1
        return (sample.pred == label).astype(np.float64), (window.pred == label).astype(np.float64)
    nearest = (window.embedding @ sample.embedding.T).max(axis=1).astype(np.float64)
    cosines = sample.embedding @ sample.embedding.T
    np.fill_diagonal(cosines, -1.0)
    return -cosines.max(axis=1).astype(np.float64), -nearest


def _signed(sample: PhotoSample, column: int, sign: float) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.nan_to_num(sample.stats[:, column].astype(np.float64) * sign, nan=-1e9)
    return values
