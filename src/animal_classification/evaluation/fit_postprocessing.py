"""Fits the rules of a bundle: temperature, prediction sets, unknown photos. NumPy only.

``training`` calls ``calibrate`` when it writes a bundle.

Which photos: those of the validation split, which a model is not fitted to; or, for a recipe that fits its last layer
to them as well, out-of-fold logits of all its training photos, each by a layer fitted without the photo's fold
(cross-conformal prediction: Vovk 2015; Barber, Candès, Ramdas and Tibshirani 2021). The layer that is kept has seen a
little more than each of these, so that sets err towards the large side. Temperature, quantile and threshold come from
the same photos; one number fitted to hundreds of them does not show in the coverage (docs/evaluation.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.bundle.schema import Calibration, Conformal, Unknown
from animal_classification.evaluation.calibration import calibrated, fit_temperature
from animal_classification.evaluation.conformal import fit_conformal
from animal_classification.evaluation.ood import REFUSED, fit_distance, fit_unknown, out_of_fold_distance
from animal_classification.inference.ood import FeatureDistance
from animal_classification.inference.reference import distance_arrays


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Photos of the classes, and what a model that was not fitted to them says.

    Attributes:
        logits: ``[M, C]``, not yet divided by a temperature.
        targets: ``[M]``, positions of their true classes.
        embedding: ``[M, D]``.
        folds: ``[M]`` where these are the training photos themselves: equal numbers for photos that were left out
            together.
        distance: Scores of a distance that was not fitted to them, ``[M]``, where other networks than the one that is
            kept gave all this: the spaces of two networks are not the same, and distances are measured within one.
            NaN where their photos were too few for a distance.
        units: ``[M]``, equal numbers for photos that are one observation; without it, each photo is one.
    """

    logits: NDArray[np.floating]
    targets: NDArray[np.integer]
    embedding: NDArray[np.floating]
    folds: NDArray[np.integer] | None = None
    distance: NDArray[np.float64] | None = None
    units: NDArray[np.integer] | None = None

    @property
    def observations(self) -> int:
        """How many of the photos are independent of each other."""
        return len(self.targets) if self.units is None else len(np.unique(self.units))


@dataclass(frozen=True, kw_only=True)
class Postprocessing:
    """What ``bundle.json`` and ``reference.npz`` get.

    Attributes:
        calibration: Of the logits.
        conformal: ``None`` where the held-out photos are too few.
        unknown: The same.
        reference: Further arrays of ``reference.npz``.
    """

    calibration: Calibration
    conformal: Conformal | None
    unknown: Unknown | None
    reference: Mapping[str, NDArray[Any]]


def calibrate(
    held_out: HeldOut,
    *,
    embedding: NDArray[np.floating],
    label: NDArray[np.integer],
    temperature: float | None = None,
    refused: float = REFUSED,
    seed: int = 0,
) -> Postprocessing:
    """Fit the rules of a trained model.

    Args:
        held_out: Photos that it was not fitted to, or its training photos out of fold.
        embedding: Of the training photos, ``[N, D]``.
        label: Positions of their classes, ``[N]``.
        temperature: Where the recipe has fitted one already.
        refused: Share of the photos of the classes that may be taken for unknown.
        seed: For the lot that makes the coverage exact.
    """
    classes = held_out.logits.shape[1]
    if temperature is None:
        temperature = fit_temperature(held_out.logits, held_out.targets)
    scaled = np.asarray(held_out.logits, dtype=np.float64) / temperature
    conformal = fit_conformal(calibrated(scaled, 1.0), held_out.targets, seed=seed)
    distance = fit_distance(embedding, label, classes)
    unknown = fit_unknown(
        scaled, _held_out_distance(held_out, distance), refused=refused, observations=held_out.observations
    )
    used = distance is not None and unknown is not None and unknown.method == "energy_mahalanobis"
    return Postprocessing(
        calibration=Calibration(temperature=temperature),
        conformal=conformal,
        unknown=unknown,
        reference=distance_arrays(distance) if distance is not None and used else {},
    )


def _held_out_distance(held_out: HeldOut, distance: FeatureDistance | None) -> NDArray[np.float64] | None:
    """Each held-out photo's score, by a distance that was not fitted to it; ``None`` if there is none."""
    if distance is None or not len(held_out.targets):
        return None
    if held_out.distance is not None:
        return held_out.distance if bool(np.isfinite(held_out.distance).all()) else None
    if held_out.folds is not None:
        classes = held_out.logits.shape[1]
        return out_of_fold_distance(held_out.embedding, held_out.targets, classes, held_out.folds)
    return distance.score(held_out.embedding)
