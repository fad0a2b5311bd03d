"""Every file opened once: its hash, its size, whether it can be decoded, and its fingerprint; in parallel, cached.

Whoever needs embeddings too passes in an ``Embedder``: it gets the pixels of the same decoding.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from animal_classification import imaging
from animal_classification.data.caching import default_directory
from animal_classification.data.embeddings import Embedder
from animal_classification.data.fingerprints import fingerprint
from animal_classification.data.scan_cache import Facts, FileKey, ScanCache
from animal_classification.errors import ImageError
from animal_classification.imaging.decoding import Photo, load, sufficient_side
from animal_classification.imaging.files import read_photo
from animal_classification.imaging.sniff import Format, identify

__all__ = ["Facts", "Progress", "examine", "scan"]

Progress = Callable[[int, int], None]
"""Called with how many are done, and of how many."""

_LIMITS = imaging.Limits()
# A JPEG may be decoded at an eighth as long as its shorter side keeps this: all of its bytes are read either way. The
# usual models want as much, so that a photo has one fingerprint whether it is embedded or not.
_LOOK = sufficient_side(imaging.PreprocessSpec())
_BATCH = 256
_CHUNK = 24


def scan(
    files: Sequence[Path],
    *,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
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
        done = len(files) - len(waiting)
        news: list[tuple[FileKey, Facts]] = []
        with _pool(workers or cpus()) as pool:
            chunks = list(_chunks(waiting, _CHUNK))
            futures = [
                pool.submit(_look, [(files[index], facts[index]) for index in chunk], embedder) for chunk in chunks
            ]
            for chunk, future in zip(chunks, futures, strict=True):
                for index, fact in zip(chunk, future.result(), strict=True):
                    done += 1
                    if facts[index] is None and (key := keys[index]) is not None:
                        news.append((key, fact))
                    facts[index] = fact
                if progress is not None:
                    progress(done, len(files))
                if len(news) >= _BATCH:
                    known.remember(news)
                    news = []
            known.remember(news)
    return [fact for fact in facts if fact is not None]


def examine(file: Path) -> Facts:
    """Look at one file, without a cache."""
    return _examine(file, None)[0]


def _look(batch: Sequence[tuple[Path, Facts | None]], embedder: Embedder | None) -> list[Facts]:
    """Look at some files, of which something may be known, and hand on their pixels."""
    found, pictures = [], {}
    for file, known in batch:
        facts, photo = _examine(file, embedder)
        if embedder is not None and photo is not None and facts.sha256 and embedder.wants(facts.sha256):
            pictures[facts.sha256] = photo.for_model(embedder.spec)
        found.append(known if known is not None and known.sha256 == facts.sha256 else facts)
    if embedder is not None and pictures:
        embedder.take(list(pictures), np.stack(list(pictures.values())))
    return found


def _examine(file: Path, embedder: Embedder | None) -> tuple[Facts, Photo | None]:
    sha256, size = None, None
    try:
        data = read_photo(file, _LIMITS)
        sha256, size = hashlib.sha256(data).hexdigest(), len(data)
        wanted = sufficient_side(embedder.spec) if embedder else 0
        photo = load(data, min_side=max(_LOOK, wanted))
        width, height = photo.size
        facts = Facts(sha256, size, width, height, identify(data).value, fingerprint(photo.upright()))
        if embedder is not None and wanted < _LOOK and _may_be_reduced(facts, wanted):
            photo = load(data, min_side=wanted)  # as whoever serves the model will decode it
        return facts, photo
    except ImageError as error:
        return Facts(sha256, size, problem=error.reason), None


def _may_be_reduced(facts: Facts, side: int) -> bool:
    """Whether a decoder may use a smaller scale for a model that wants so few pixels."""
    return facts.format == Format.JPEG.value and min(facts.width or 0, facts.height or 0) >= 2 * side


def _wanted(embedder: Embedder | None, facts: Facts) -> bool:
    return embedder is not None and facts.sha256 is not None and embedder.wants(facts.sha256)


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are not given what is still waiting when the block fails."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="animals-scan")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _key(file: Path) -> FileKey | None:
    try:
        return FileKey.of(file)
    except (OSError, ValueError):
        return None


def _chunks(indices: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


def cpus() -> int:
    """How many this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return count or 1
