"""The reference for drift of an export: the original's photos as the export sees them.

Another arithmetic gives other embeddings. Compared with the original's, the answers of an export would be drift by
themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from animal_classification.common.progress import Progress, renamed
from animal_classification.monitoring.drift.make_reference import HeldOutPhotos, make_reference
from animal_classification.monitoring.drift.reference import MONITOR_FILE, MOST
from animal_classification.monitoring.drift.sample_reader import SampleReader

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.evaluation.eval_set import Subject


def drift_reference(
    original: Bundle, exported: Bundle, measured: Iterable[Subject], progress: Progress
) -> dict[str, bytes]:
    """The file for the export's bundle; nothing where the original has none, or the photos are too few.

    Args:
        original: The model that was exported.
        exported: Its export.
        measured: Photos that the model has not learned from.
        progress: Told how far it is.
    """
    if MONITOR_FILE not in original.info.files:
        return {}
    photos = HeldOutPhotos.selected(measured)
    chosen = photos.take(photos.by_lot(MOST))
    readings = SampleReader.of(exported).read(chosen.files, progress=renamed(progress, "looking at photos"))
    if not len(readings):
        return {}
    made = make_reference(readings.sample(), chosen.take(readings.positions.tolist()))
    return {} if made is None else {MONITOR_FILE: made.pack()}
