"""Makes a reference of photos that a model has not learned from, and puts it into a bundle that is there already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification import bundle as bundles
from animal_classification.common.hashes import hash_of_file
from animal_classification.common.progress import Progress, silent
from animal_classification.errors import UsageError
from animal_classification.evaluation.eval_set import NO_TARGET, Subject
from animal_classification.imaging.corruptions import CORRUPTIONS
from animal_classification.monitoring.drift.accuracy_estimate import AccuracyModel, LearnedWeights, fit_learned
from animal_classification.monitoring.drift.reference import FEWEST, MONITOR_FILE, MOST, NO_LABEL, DriftReference
from animal_classification.monitoring.drift.sample import DriftWindow, PhotoSample
from animal_classification.monitoring.drift.sample_reader import SampleReader

if TYPE_CHECKING:
    from animal_classification.bundle import Bundle
    from animal_classification.monitoring.drift.photo_windows import PhotoOnDisk

_HEX_DIGITS = 16
# Photos that the learned estimate is fitted on, sixteen views each: about a minute of one core.
_LEARNED_FROM = 300


@dataclass(frozen=True)
class HeldOutPhotos:
    """Photos that a model has not learned from.

    Attributes:
        files: Where they are.
        label: int64 ``[N]``, positions of their true labels; -1 where nobody said.
        sha256: Of their bytes, in hex; empty where it is not known.
    """

    files: tuple[Path, ...]
    label: NDArray[np.int64]
    sha256: tuple[str, ...]

    @classmethod
    def selected(cls, subjects: Iterable[Subject]) -> HeldOutPhotos:
        """The photos of an evaluation whose label the model knows."""
        there = [one for one in subjects if one.row.problem is None and one.target != NO_TARGET]
        labels = np.array([one.target for one in there], dtype=np.int64)
        return cls(tuple(one.file for one in there), labels, tuple(one.row.sha256 or "" for one in there))

    @classmethod
    def unlabelled(cls, photos: Sequence[PhotoOnDisk]) -> HeldOutPhotos:
        """Photos of which nobody said what they show."""
        labels = np.full(len(photos), NO_LABEL, dtype=np.int64)
        return cls(tuple(photo.file for photo in photos), labels, tuple(hash_of_file(photo.file) for photo in photos))

    def __len__(self) -> int:
        return len(self.files)

    def take(self, chosen: Sequence[int]) -> HeldOutPhotos:
        """Some of them, by position."""
        return HeldOutPhotos(
            tuple(self.files[i] for i in chosen),
            self.label[np.array(chosen, dtype=np.int64)],
            tuple(self.sha256[i] for i in chosen),
        )

    def by_lot(self, count: int) -> list[int]:
        """Positions of at most ``count`` of them, ascending: the same for the same photos, classes in their shares."""
        pairs = zip(self.sha256, map(str, self.files), strict=True)
        keys = [hashlib.sha256((sha256 or name).encode("utf-8", "backslashreplace")).digest() for sha256, name in pairs]
        return sorted(sorted(range(len(self)), key=keys.__getitem__)[:count])


def make_reference(sample: PhotoSample, photos: HeldOutPhotos) -> DriftReference | None:
    """A reference of photos that were read; bursts and copies count once.

    Args:
        sample: What the model says of them.
        photos: The same photos.

    Returns:
        ``None`` where fewer than 100 are left.
    """
    window = DriftWindow(
        sample=sample,
        ids=tuple(map(str, photos.files)),
        time=np.arange(len(photos), dtype=np.float64),
        photo=photos.sha256,
    )
    kept = np.flatnonzero(window.scene_starts())[:MOST]
    if len(kept) < FEWEST:
        return None
    left = photos.take(kept.tolist())
    sha = [int(sha256[:_HEX_DIGITS], 16) if sha256 else 0 for sha256 in left.sha256]
    return DriftReference(sample=sample.take(kept), label=left.label, sha=np.array(sha, dtype=np.uint64))


def read_reference(reader: SampleReader, photos: HeldOutPhotos, progress: Progress = silent) -> DriftReference:
    """Send photos through a model and make a reference of them.

    Raises:
        UsageError: Fewer than 100 are left.
    """
    chosen = photos.take(photos.by_lot(MOST))
    readings = reader.read(chosen.files, progress=progress)
    read = chosen.take(readings.positions.tolist())
    found = make_reference(readings.sample(), read) if len(read) else None
    if found is None:
        raise UsageError(
            f"{len(read)} photos could be read that the model has not learned from (bursts and copies count once), and "
            f"a reference takes {FEWEST}: give more photos"
        )
    return found


def learn_weights(reader: SampleReader, photos: HeldOutPhotos, progress: Progress = silent) -> LearnedWeights:
    """Fit the learned estimate of accuracy to a model: photos with labels, as they are and under fifteen changes.

    Raises:
        UsageError: They have no labels, or are too few.
    """
    labelled = photos.take(np.flatnonzero(photos.label != NO_LABEL).tolist())
    chosen = labelled.take(labelled.by_lot(_LEARNED_FROM))
    readings = reader.read(chosen.files, changes=tuple(CORRUPTIONS.values()), progress=progress)
    label = chosen.label[readings.positions]
    if len(label) < FEWEST:
        raise UsageError(f"the estimate of accuracy is learned from photos with labels, and it takes {FEWEST} of them")
    views = [readings.sample(view) for view in range(1 + len(CORRUPTIONS))]
    clean = DriftReference(sample=views[0], label=label)
    return fit_learned(AccuracyModel(clean), views, [float((view.pred == label).mean()) for view in views])


def add_reference(
    bundle: Bundle, target: Path, reference: DriftReference, learned: LearnedWeights | None = None
) -> Bundle:
    """Write a bundle with another reference; all else in it stays.

    Args:
        bundle: The one that is there.
        target: Where to write it: its own folder, or a new one.
        reference: What windows will be compared with.
        learned: Weights of the learned estimate, if they are of its own.

    Raises:
        UsageError: ``target`` is taken by something else.
        OutputError: It cannot be written.
    """
    metrics = {**bundle.info.metrics, **({"monitor": learned.to_metrics()} if learned else {})}
    info = bundle.info.model_copy(update={"metrics": metrics})
    files: dict[str, bytes | Path] = {name: bundle.content(name) for name in bundle.info.files}
    files[MONITOR_FILE] = reference.pack()
    same = target.absolute() == bundle.path.absolute()
    return bundles.write(target, info, files, overwrite=same)
