"""The reference for drift that a bundle gets: photos that were kept apart, as the finished model sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification import bundle as bundles
from animal_classification.common.progress import renamed
from animal_classification.errors import ImageError
from animal_classification.evaluation.model_outputs import compute_outputs
from animal_classification.imaging import PreprocessSpec
from animal_classification.imaging.statistics import photo_statistics
from animal_classification.inference.postprocess import Postprocessor
from animal_classification.inference.stream import decoded_files
from animal_classification.monitoring.drift.make_reference import HeldOutPhotos, make_reference
from animal_classification.monitoring.drift.reference import FEWEST, MOST, DriftReference
from animal_classification.monitoring.drift.sample_reader import sample_of

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.training.dataset import DatasetSplit
    from animal_classification.training.heldout_metrics import HeldOutOutputs
    from animal_classification.training.recipe import RecipeInputs, TrainedModel

_Outputs = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]  # positions, logits, embedding


def drift_reference(
    job: RecipeInputs,
    trained: TrainedModel,
    tested: HeldOutOutputs,
    info: BundleInfo,
    arrays: Mapping[str, NDArray[Any]],
) -> DriftReference | None:
    """Make it of the test photos, or else of the val photos where the model did not learn from them.

    Args:
        job: Whose photos these are.
        trained: The model.
        tested: What it says of the test photos.
        info: The bundle's, with its rules.
        arrays: Of ``reference.npz``.

    Returns:
        ``None`` where fewer than 100 photos were kept apart.
    """
    part, outputs = job.dataset.test, (tested.positions, tested.logits, tested.embedding)
    if len(tested.positions) < FEWEST:
        part = job.dataset.val
        if len(part) < FEWEST or not _kept_apart(part, trained):
            return None
        found = compute_outputs(bundles.load(job.run.bundle), part.files, progress=job.progress)
        outputs = (found.positions, found.logits, found.embedding)
    return _of(job, part, outputs, (info, arrays))


def _kept_apart(part: DatasetSplit, trained: TrainedModel) -> bool:
    """Whether a model that is written already has not learned from these photos."""
    learned = {row.path for row in trained.learned_from}
    return bool(learned) and trained.test_logits is None and not any(row.path in learned for row in part.rows)


def _of(
    job: RecipeInputs, part: DatasetSplit, outputs: _Outputs, rules: tuple[BundleInfo, Mapping[str, NDArray[Any]]]
) -> DriftReference | None:
    info, arrays = rules
    positions, logits, embedding = outputs
    held_out = HeldOutPhotos(part.files, part.targets, tuple(row.sha256 or "" for row in part.rows)).take(
        positions.tolist()
    )
    chosen = held_out.by_lot(MOST)
    photos = held_out.take(chosen)
    stats = _statistics(job, photos, PreprocessSpec(**info.preprocess.model_dump()))
    there = np.flatnonzero(np.isfinite(stats).all(axis=1))
    rows = np.array(chosen, dtype=np.int64)[there]
    decider = Postprocessor.from_arrays(info, arrays)
    sample = sample_of(decider, len(info.labels), (logits[rows], embedding[rows]), stats[there])
    return make_reference(sample, photos.take(there.tolist()))


def _statistics(job: RecipeInputs, photos: HeldOutPhotos, spec: PreprocessSpec) -> NDArray[np.float32]:
    """The twelve numbers of each photo, ``[N, 12]``; NaN for one that is gone."""
    progress = renamed(job.progress, "describing photos")
    found = decoded_files(photos.files, spec, progress=lambda done: progress("describing photos", done, len(photos)))
    rows = [np.full(12, np.nan) if isinstance(one, ImageError) else photo_statistics(one) for one in found]
    return np.array(rows, dtype=np.float32)
