"""How a model bears drifting data, and whether the monitor would notice: the same photos under fifteen changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.progress import Progress, renamed, silent
from animal_classification.errors import UsageError
from animal_classification.evaluation.confidence_intervals import share_interval
from animal_classification.evaluation.eval_set import NO_TARGET, Subject, independent_units, select
from animal_classification.evaluation.metrics import reliability_at
from animal_classification.evaluation.result.robustness import ChangedPhotos
from animal_classification.imaging.corruptions import CORRUPTIONS, Corruption
from animal_classification.inference.reference import TrainingReference
from animal_classification.monitoring.drift.accuracy_estimate import USUAL_WEIGHTS, LearnedWeights
from animal_classification.monitoring.drift.judge import FEWEST_IN_WINDOW, DriftJudge
from animal_classification.monitoring.drift.make_reference import HeldOutPhotos, make_reference
from animal_classification.monitoring.drift.sample import DriftWindow, PhotoSample
from animal_classification.monitoring.drift.sample_reader import SampleReader, SampleReadings

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.monitoring.drift.verdict import Verdict
    from animal_classification.report.report_inputs import Measurement

WINDOWS = (100, 200)
# Windows of each size that are judged under each change.
_DRAWS = 4
_MOST = 1000
_CLEAN = Corruption("clean", "as they are", lambda pixels: pixels)


@dataclass(frozen=True)
class _ChangedViews:
    """Labelled photos, and what the model says of them in every view."""

    bundle: Bundle
    target: NDArray[np.int64]
    units: NDArray[np.int64]
    readings: SampleReadings
    judge: DriftJudge | None


def measure_robustness(
    bundle: Bundle, subjects: Sequence[Subject], *, engine: str = "auto", progress: Progress = silent
) -> list[ChangedPhotos]:
    """Measure a model on photos as they are and under every change of ``imaging.corruptions``.

    The monitor compares changed photos with the same photos unchanged, which are more like them than others would be:
    it finds at most as much as it would in use.

    Args:
        bundle: The model.
        subjects: Photos with labels; a thousand of them at most are taken, by lot.
        engine: As for predictions.
        progress: Told how far it is.

    Raises:
        UsageError: No photo has a label that the model knows.
    """
    usable = [one for one in subjects if one.row.problem is None and one.target != NO_TARGET]
    photos = HeldOutPhotos.selected(usable)
    chosen = photos.by_lot(_MOST)
    changes = tuple(CORRUPTIONS.values())
    reader = SampleReader.of(bundle, engine=engine)
    looking = renamed(progress, "looking at changed photos")
    readings = reader.read(photos.take(chosen).files, changes=changes, progress=looking)
    if not len(readings):
        raise UsageError("no photo with a label that the model knows could be read, so that nothing can be changed")
    rows = [chosen[place] for place in readings.positions.tolist()]
    judge = _judge(bundle, readings, photos.take(rows))
    units = independent_units([usable[row] for row in rows]).all
    found = _ChangedViews(bundle, photos.label[rows], units, readings, judge)
    return [_changed(found, view, change) for view, change in enumerate((_CLEAN, *changes))]


def with_robustness(measurement: Measurement, progress: Progress = silent, cache: Path | None = None) -> Measurement:
    """An evaluation with the changes added to it, on the photos that it was made of.

    Raises:
        UsageError: The photos are not at hand any more.
    """
    bundle, manifest, inputs = measurement.bundle, measurement.manifest, measurement.inputs
    if bundle is None or manifest is None:
        raise UsageError("the photos of an evaluation are changed, and this one has no photos at hand")
    selection = select(manifest, bundle.info, TrainingReference.of(bundle), wanted=inputs.split, cache=cache)
    found = measure_robustness(bundle, selection.subjects, engine=inputs.engine, progress=progress)
    return replace(measurement, result=measurement.result.model_copy(update={"drift": found}))


def _judge(bundle: Bundle, readings: SampleReadings, photos: HeldOutPhotos) -> DriftJudge | None:
    reference = make_reference(readings.sample(), photos)
    if reference is None:
        return None
    info = bundle.info
    return DriftJudge(
        reference=reference,
        labels=tuple(label.name for label in info.labels),
        model=info.name,
        version=info.version,
        measured=reference,
        learned=LearnedWeights.of(info.metrics) or USUAL_WEIGHTS,
    )


def _changed(photos: _ChangedViews, view: int, change: Corruption) -> ChangedPhotos:
    info, readings = photos.bundle.info, photos.readings
    logits = readings.logits[:, view]
    said = readings.reader.decider.decide(logits, top_k=1, embeddings=readings.embedding[:, view].astype(np.float32))
    sample = readings.sample(view)
    verdicts = {size: _verdicts(photos.judge, sample, size, change.name) for size in WINDOWS}
    largest = verdicts[WINDOWS[-1]] or verdicts[WINDOWS[0]]
    kinds = Counter(verdict.kind for verdict in largest)
    middle = largest[0].accuracy if largest else None
    return ChangedPhotos(
        change=change.name,
        says=change.says,
        n=len(photos.target),
        accuracy=share_interval(sample.pred == photos.target, photos.units),
        ece=reliability_at(logits, photos.target, info.calibration.temperature, labels=len(info.labels)).ece,
        unknown=None if info.unknown is None else float(np.mean([one.unknown for one in said])),
        set_size=None if info.conformal is None else float(np.mean([len(one.set) for one in said])),
        found={size: _share_found(some) for size, some in verdicts.items() if some},
        kind=kinds.most_common(1)[0][0] if kinds else "none",
        estimated=None if middle is None else (middle.low, middle.high),
    )


def _share_found(verdicts: Sequence[Verdict]) -> float:
    return float(np.mean([bool(verdict.fired) for verdict in verdicts]))


def _verdicts(judge: DriftJudge | None, sample: PhotoSample, size: int, name: str) -> list[Verdict]:
    """On windows of so many photos, drawn by lot; none where the photos are too few."""
    if judge is None or len(judge.reference) < size or size < FEWEST_IN_WINDOW:
        return []
    generator = np.random.default_rng(size)
    found = []
    for draw in range(_DRAWS):
        chosen = generator.choice(len(sample), min(len(sample), size), replace=False)
        window = DriftWindow(
            sample=sample.take(chosen), ids=tuple(f"{name}-{draw}-{i}" for i in chosen), time=np.zeros(len(chosen))
        )
        if len(judge.prepared(window, size)) >= FEWEST_IN_WINDOW:
            found.append(judge.judge(window, size=size))
    return found
