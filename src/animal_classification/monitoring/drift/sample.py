"""Photos as the monitor sees them: what a model says of each, and how it looks. No photo, no name, no place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.imaging.statistics import NAMES
from animal_classification.inference.ood import unit_length

# Frames of one burst: how alike the embeddings of two photos are that count as one.
SAME_SCENE = 0.97
_BLOCK = 512


@dataclass(frozen=True, kw_only=True)
class PhotoSample:
    """What is known of N photos.

    Attributes:
        embedding: float32 ``[N, D]``; brought to length one here.
        stats: float32 ``[N, 12]``, by ``imaging.statistics``; rows of NaN where it was not taken. Rounded here to half
            precision, in which bundles and the log keep them: else rounding would be a difference.
        pred: int64 ``[N]``, position of the most probable label; -1 for one that the model does not have.
        probability: float64 ``[N]``, of that label, calibrated.
        known: float64 ``[N]``, what ``unknown`` is decided on, in [0, 1].
    """

    embedding: NDArray[np.float32]
    stats: NDArray[np.float32]
    pred: NDArray[np.int64]
    probability: NDArray[np.float64]
    known: NDArray[np.float64]

    def __post_init__(self) -> None:
        count = len(self.pred)
        shapes = [self.embedding.shape[:1], self.stats.shape, self.probability.shape, self.known.shape]
        if self.embedding.ndim != 2 or shapes != [(count,), (count, len(NAMES)), (count,), (count,)]:
            raise ValueError(f"arrays of {count} photos have the shapes {[self.embedding.shape, *shapes[1:]]}")
        object.__setattr__(self, "embedding", unit_length(self.embedding.astype(np.float32)))
        object.__setattr__(self, "stats", self.stats.astype(np.float16).astype(np.float32))
        object.__setattr__(self, "pred", self.pred.astype(np.int64))
        object.__setattr__(self, "probability", self.probability.astype(np.float64))
        object.__setattr__(self, "known", self.known.astype(np.float64))

    def __len__(self) -> int:
        return len(self.pred)

    def take(self, chosen: NDArray[Any]) -> PhotoSample:
        """Some of the photos, by position or by mask."""
        return PhotoSample(
            embedding=self.embedding[chosen],
            stats=self.stats[chosen],
            pred=self.pred[chosen],
            probability=self.probability[chosen],
            known=self.known[chosen],
        )


@dataclass(frozen=True, kw_only=True)
class DriftWindow:
    """Photos of one stretch of time, all answered by one version of a model.

    Attributes:
        sample: What is known of them.
        ids: Names of the predictions, or of the files; only the seed of the permutations comes from them.
        time: float64 ``[N]``, seconds since 1970.
        source: Which camera or site each came from; empty where nobody said.
        photo: SHA-256 of each photo's bytes in hex; empty where it is not known.
        read: How many photos there were before any were left out.
    """

    sample: PhotoSample
    ids: tuple[str, ...]
    time: NDArray[np.float64]
    source: tuple[str, ...] = ()
    photo: tuple[str, ...] = ()
    read: int = field(default=-1)

    def __post_init__(self) -> None:
        count = len(self.sample)
        object.__setattr__(self, "source", self.source or ("",) * count)
        object.__setattr__(self, "photo", self.photo or ("",) * count)
        object.__setattr__(self, "read", count if self.read < 0 else self.read)
        if {len(self.ids), len(self.time), len(self.source), len(self.photo)} != {count}:
            raise ValueError(f"a window of {count} photos needs as many ids, times, sources and hashes")

    def __len__(self) -> int:
        return len(self.sample)

    def take(self, chosen: NDArray[Any]) -> DriftWindow:
        """Some of the photos, by position or by mask; ``read`` stays."""
        places = np.arange(len(self))[chosen].tolist()
        return replace(
            self,
            sample=self.sample.take(chosen),
            ids=tuple(self.ids[i] for i in places),
            time=self.time[chosen],
            source=tuple(self.source[i] for i in places),
            photo=tuple(self.photo[i] for i in places),
        )

    def thinned(self) -> DriftWindow:
        """One photo of each scene: bursts and copies are one observation.

        In order of time, a photo is left out that has the bytes of one kept, or, from the same source, an embedding
        whose cosine with one kept is at least 0.97. Bursts of five frames raise an alarm in every window without this.
        """
        ordered = self.take(np.argsort(self.time, kind="stable"))
        return ordered.take(ordered.scene_starts())

    def scene_starts(self) -> NDArray[np.bool_]:
        """Which photos thinning keeps of a window that is in order of time, ``[N]``."""
        return _first_of_scene(self)

    def newest(self, count: int) -> DriftWindow:
        """The last ``count`` photos, in order of time."""
        return self.take(np.argsort(self.time, kind="stable")[-count:] if count else np.empty(0, np.int64))

    def seed(self, reference: str) -> int:
        """The seed of all that is random in judging: the same window and reference give the same numbers.

        Args:
            reference: SHA-256 of the reference.
        """
        digest = hashlib.sha256("\n".join((reference, *self.ids)).encode("utf-8", "backslashreplace")).digest()
        return int.from_bytes(digest[:8], "big")


def _first_of_scene(window: DriftWindow) -> NDArray[np.bool_]:
    seen: set[str] = set()
    keep = np.ones(len(window), np.bool_)
    for place, photo in enumerate(window.photo):
        keep[place] = not photo or photo not in seen
        seen.add(photo)
    sources = np.array(window.source)
    for source in set(window.source):
        there = np.flatnonzero((sources == source) & keep)
        keep[there] = _first_alike(window.sample.embedding[there])
    return keep


def _first_alike(embedding: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the photos of one source are like none that is kept before them, ``[N]``.

    Blocks of them at once: one by one takes ten times as long, and all at once takes N x N numbers.
    """
    kept = np.zeros(len(embedding), np.bool_)
    for start in range(0, len(embedding), _BLOCK):
        block = embedding[start : start + _BLOCK]
        new: NDArray[np.bool_] = ~np.logical_or.reduce(block @ embedding[kept].T >= SAME_SCENE, axis=1)
        same = block @ block.T >= SAME_SCENE
        for place in np.flatnonzero(new).tolist():
            new[place] = not (same[place, :place] & new[:place]).any()
        kept[start : start + len(block)] = new
    return kept


def joined(windows: Sequence[DriftWindow]) -> DriftWindow:
    """Several windows as one.

    Raises:
        ValueError: There is none.
    """
    samples = [one.sample for one in windows]
    return DriftWindow(
        sample=PhotoSample(
            embedding=np.concatenate([one.embedding for one in samples]),
            stats=np.concatenate([one.stats for one in samples]),
            pred=np.concatenate([one.pred for one in samples]),
            probability=np.concatenate([one.probability for one in samples]),
            known=np.concatenate([one.known for one in samples]),
        ),
        ids=tuple(name for one in windows for name in one.ids),
        time=np.concatenate([one.time for one in windows]),
        source=tuple(name for one in windows for name in one.source),
        photo=tuple(name for one in windows for name in one.photo),
        read=sum(one.read for one in windows),
    )
