"""Every file opened once: its hash, its size, whether it can be decoded, and its fingerprint; in parallel, cached.

Whoever needs embeddings too passes in an ``Embedder``: it gets the pixels of the same decoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.common.parallel import ordered_map
from animal_classification.common.progress import Progress, silent
from animal_classification.data.cache_folder import default_directory
from animal_classification.data.embedding_cache import Embedder
from animal_classification.data.perceptual_hash import fingerprint
from animal_classification.data.scan_cache import Facts, FileKey, ScanCache
from animal_classification.errors import ImageError, ImageMemoryError
from animal_classification.imaging.bounded_read import read_photo
from animal_classification.imaging.decoding import opened, sufficient_side
from animal_classification.imaging.file_type import Format, identify

__all__ = ["Facts", "examine", "scan"]

# A JPEG may be decoded at an eighth as long as its shorter side keeps this: all of its bytes are read either way. The
# usual models want as much, so that a photo has one fingerprint whether it is embedded or not.
_LOOK = sufficient_side(imaging.PreprocessSpec())
_BATCH = 256


def scan(
    files: Sequence[Path],
    *,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress = silent,
    embedder: Embedder | None = None,
) -> list[Facts]:
    """Look at files, in the order given.

    Args:
        files: What to look at.
        cache: Folder in which what was found is remembered; the user's own by default.
        workers: Threads; as many as the process has CPUs by default.
        progress: Told about every file.
        embedder: Gets the pixels of photos whose embeddings it does not know.

    Returns:
        What was found; for a bad file the ``problem``.
    """
    with closing(ScanCache(cache or default_directory())) as known:
        keys = [_key(file) for file in files]
        facts = [None if key is None else known.find(key) for key in keys]
        waiting = [index for index, fact in enumerate(facts) if fact is None or _wanted(embedder, fact)]
        look = partial(_look, embedder=embedder, limits=imaging.Limits.of_container())
        items = ((files[index], facts[index]) for index in waiting)

        def told(done: int) -> None:
            progress("looking at photos", len(files) - len(waiting) + done, len(files))

        news: list[tuple[FileKey, Facts]] = []
        with closing(ordered_map(look, items, threads=workers, progress=told)) as results:
            for index, (fact, lasts) in zip(waiting, results, strict=True):
                if facts[index] is None and lasts and (key := keys[index]) is not None:
                    news.append((key, fact))
                facts[index] = fact
                if len(news) >= _BATCH:
                    known.remember(news)
                    news = []
        known.remember(news)
    return [fact for fact in facts if fact is not None]


def examine(file: Path) -> Facts:
    """Look at one file, without a cache."""
    return _examine(file, None, imaging.Limits.of_container()).facts


def _look(
    batch: Sequence[tuple[Path, Facts | None]], *, embedder: Embedder | None, limits: imaging.Limits
) -> list[tuple[Facts, bool]]:
    """Look at some files, of which something may be known, and hand on their pixels; whether each finding lasts."""
    found, pictures = [], {}
    for file, known in batch:
        seen = _examine(file, embedder, limits)
        facts = seen.facts
        if facts.sha256 is not None and seen.pixels is not None:
            pictures[facts.sha256] = seen.pixels
        found.append((known if known is not None and known.sha256 == facts.sha256 else facts, seen.lasts))
    if embedder is not None and pictures:
        embedder.take(list(pictures), np.stack(list(pictures.values())))
    return found


@dataclass(frozen=True, slots=True)
class _Seen:
    """One file.

    Attributes:
        facts: What was found.
        pixels: What the embedder wants, uint8 ``[size, size, 3]``.
        lasts: Whether it is so on every machine, and at any other time.
    """

    facts: Facts
    pixels: NDArray[np.uint8] | None = None
    lasts: bool = True


def _examine(file: Path, embedder: Embedder | None, limits: imaging.Limits) -> _Seen:
    sha256, size = None, None
    try:
        data = read_photo(file, limits)
        sha256, size = hashlib.sha256(data).hexdigest(), len(data)
        side = sufficient_side(embedder.spec) if embedder else 0
        with opened(data, limits=limits, min_side=max(_LOOK, side)) as photo:
            width, height = photo.size
            facts = Facts(sha256, size, width, height, identify(data).value, fingerprint(photo.upright()))
            if embedder is None or not embedder.wants(sha256):
                return _Seen(facts)
            if side >= _LOOK or not _may_be_reduced(facts, side):
                return _Seen(facts, photo.for_model(embedder.spec))
        return _Seen(facts, imaging.preprocess(data, embedder.spec, limits=limits))  # decoded as it will be served
    except ImageError as error:
        return _Seen(Facts(sha256, size, problem=error.reason), lasts=not isinstance(error, ImageMemoryError))


def _may_be_reduced(facts: Facts, side: int) -> bool:
    """Whether a decoder may use a smaller scale for a model that wants so few pixels."""
    return facts.format == Format.JPEG.value and min(facts.width or 0, facts.height or 0) >= 2 * side


def _wanted(embedder: Embedder | None, facts: Facts) -> bool:
    return embedder is not None and facts.sha256 is not None and embedder.wants(facts.sha256)


def _key(file: Path) -> FileKey | None:
    try:
        return FileKey.of(file)
    except (OSError, ValueError):
        return None
