"""Every file opened once: its hash, its size, whether it can be decoded, and its fingerprint; in parallel, cached."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from animal_classification import imaging
from animal_classification.data.caching import default_directory
from animal_classification.data.fingerprints import fingerprint
from animal_classification.data.scan_cache import Facts, FileKey, ScanCache
from animal_classification.errors import ImageError
from animal_classification.imaging.files import read_photo
from animal_classification.imaging.pillow import open_image
from animal_classification.imaging.sniff import Format, identify

__all__ = ["Facts", "Progress", "examine", "scan"]

Progress = Callable[[int, int], None]
"""Called with how many are done, and of how many."""

_LIMITS = imaging.Limits()
# A JPEG may be decoded at an eighth as long as its shorter side keeps this: all of its bytes are read either way.
_LOOK = 64
_BATCH = 256


def scan(
    files: Sequence[Path], *, cache: Path | None = None, workers: int | None = None, progress: Progress | None = None
) -> list[Facts]:
    """Look at files, in the order given.

    Args:
        files: What to look at.
        cache: Folder in which what was found is remembered; the user's own by default.
        workers: Threads; as many as the process has CPUs by default.
        progress: Told about every file.

    Returns:
        What was found; for a bad file the ``problem``.
    """
    with closing(ScanCache(cache or default_directory())) as known:
        keys = [_key(file) for file in files]
        facts = [None if key is None else known.find(key) for key in keys]
        waiting = [index for index, fact in enumerate(facts) if fact is None]
        done = len(files) - len(waiting)
        with ThreadPoolExecutor(workers or cpus(), thread_name_prefix="animals-scan") as pool:
            for batch in _batches(waiting):
                found = []
                for index, fact in zip(batch, pool.map(examine, [files[index] for index in batch]), strict=True):
                    facts[index] = fact
                    done += 1
                    if progress is not None:
                        progress(done, len(files))
                    if (key := keys[index]) is not None:
                        found.append((key, fact))
                known.remember(found)
    return [fact for fact in facts if fact is not None]


def examine(file: Path) -> Facts:
    """Look at one file, without a cache."""
    sha256, size = None, None
    try:
        data = read_photo(file, _LIMITS)
        sha256, size = hashlib.sha256(data).hexdigest(), len(data)
        format_ = identify(data)
        pixels = imaging.decode(data, min_side=_LOOK)
        height, width = pixels.shape[:2]
        if format_ is not Format.PNM:
            width, height = _full_size(open_image(format_, data).size, (width, height))
        return Facts(sha256, size, width, height, format_.value, fingerprint(pixels))
    except ImageError as error:
        return Facts(sha256, size, problem=error.reason)


def _full_size(stored: tuple[int, int], seen: tuple[int, int]) -> tuple[int, int]:
    """The stored size, turned if what was seen is turned."""
    turned = (stored[0] - stored[1]) * (seen[0] - seen[1]) < 0
    return (stored[1], stored[0]) if turned else stored


def _key(file: Path) -> FileKey | None:
    try:
        return FileKey.of(file)
    except (OSError, ValueError):
        return None


def _batches(indices: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(indices), _BATCH):
        yield indices[start : start + _BATCH]


def cpus() -> int:
    """How many this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return count or 1
